"""Every failure says on what, where the manifest asks for it, and what to do; and what leads to what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from deployd.drivers.api import Failed, Progress, ReleaseSpec, ResourceSpec, Routed, ServiceRef, Wait
from deployd.engine import holding, provisioning
from deployd.engine.explaining import Explanation, Verdict, explain
from deployd.engine.holding import WAKE
from deployd.model.machine import Machine
from deployd.model.reason import Fault, Reason, Subject, SubjectKind
from deployd.model.state import Health, MachineKind
from deployd.model.world import Capability
from deployd.store import machines, worlds
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, house
from tests.standin import StandinDeployer, StandinRouter


class Town:
    """A house with a world that makes databases and routes requests, deployed into by whole manifests."""

    def __init__(self, home: House) -> None:
        self.home = home

    async def deploy(self, lines: str, *states: str, key: str | None = None) -> Machine:
        """A manifest's lines below `services:`; the change, once it is in one of these states."""
        folder = self.home.home / "source"
        folder.mkdir(exist_ok=True)
        written = self.home.home / "deployd.yaml"
        written.write_text(f"deployd: 1\nservices:\n{lines}")
        written.replace(folder / "deployd.yaml")
        change = await self.home.operations.deploy(ADA, self.home.world, str(folder), key=key)
        ended = await self.home.until(change.id, *states)
        if ended.state in ("done", "failed"):
            for one in await self.home.deployments(change.id):
                assert one.service_id is not None
                await self.home.until(one.service_id, "serving", "idle")
        return ended

    async def only(self, change: Machine) -> Machine:
        """Its one deployment, once it is there."""
        async with asyncio.timeout(30):
            while not (made := await self.home.deployments(change.id)):
                await asyncio.sleep(0.01)
        return made[0]

    async def reason(self, machine_id: UUID, code: str) -> Reason:
        """Its reason, once it is this one."""
        async with asyncio.timeout(30):
            while (reason := (await self.home.get(machine_id)).facts.reason) is None or reason.code != code:
                await asyncio.sleep(0.01)
        return reason

    async def why(self, machine_id: UUID) -> Explanation:
        return await explain(self.home.db, await self.home.get(machine_id))

    async def told(self, machine_id: UUID, code: str) -> Reason:
        """What a transition of it said, once one says this."""
        async with asyncio.timeout(30):
            while True:
                said = [one.reason for one in await self.home.history() if one.machine_id == machine_id]
                for one in said:
                    if one is not None and one.code == code:
                        return one
                await asyncio.sleep(0.02)

    async def wake(self, machine_id: UUID) -> None:
        await self.home.committer.store(posts=(Post(self.home.world_id, machine_id, WAKE, "test"),))


@pytest.fixture
async def town(database: Database, tmp_path: Path) -> AsyncIterator[Town]:
    await worlds.add_capability(database, "local", "data", Capability("local/postgres"))
    await worlds.add_capability(database, "local", "entrypoint", Capability("route:standin"))
    async with house(database, tmp_path) as running:
        yield Town(running)


REFUSED = [
    ("  a: {run: ok, port: 80, requires: [b]}\n  b: {run: ok}\n", "NO_PORT", "deployd.yaml:3:37"),
    (
        "  a:\n    run: ok\n    ports: {tcp: 80}\n    routes: [{host: a.test, path: /}]\n",
        "NOT_ROUTABLE",
        "deployd.yaml:6:5",
    ),
    ("  a:\n    image: a.test/b:1\n", "UNSUPPORTED", "deployd.yaml:4:5"),
    (
        "  a:\n    run: ok\n    port: 80\n    rollout: {strategy: canary, steps: [5, 9], interval: 20h}\n",
        "ROLLOUT_TOO_LONG",
        "deployd.yaml:6:33",
    ),
]


async def test_what_planning_refuses_is_about_a_service_and_has_a_place(town: Town) -> None:
    for number, (lines, code, where) in enumerate(REFUSED):
        ended = await town.deploy(lines, "failed", key=str(number))
        reason = ended.facts.reason
        assert reason is not None
        assert (reason.code, reason.subject, reason.fault) == (
            code,
            Subject(SubjectKind.SERVICE, "a"),
            Fault.FAILED,
        )
        place = where if code != "ROLLOUT_TOO_LONG" else where.rpartition(":")[0]
        assert reason.where is not None
        assert reason.where.startswith(place), (reason, where)
        assert "a" in reason.summary
        assert reason.remedy
        said = await town.why(ended.id)
        assert (said.verdict, [one.reason for one in said.steps]) == (Verdict.UNWELL, [reason])


async def test_a_place_that_a_world_says_is_that_of_the_world(town: Town) -> None:
    lines = (
        "  a: {run: ok, port: 80}\nworlds:\n  local:\n    services:\n      a:\n        image: a.test/b:1\n"
    )
    ended = await town.deploy(lines.replace("{run: ok, port: 80}", "{image: 'b.test/c:1'}"), "failed")
    assert ended.facts.reason is not None
    assert ended.facts.reason.where == "deployd.yaml:8:9"


NEEDS = "  cart:\n    run: ok\n    port: 80\n    resources:\n      db: postgres\n"


async def test_a_resource_under_another_slug_is_refused(town: Town) -> None:
    await town.deploy(NEEDS, "done")
    await town.home.db.pool.execute(
        "update machines set facts = jsonb_set(facts, '{slug}', '\"mysql\"') where kind = 'resource'"
    )
    ended = await town.deploy(NEEDS + "    env: {A: b}\n", "failed")
    reason = ended.facts.reason
    assert reason is not None
    assert (reason.code, reason.where) == ("RESOURCE_DIFFERS", "deployd.yaml:7:7")
    assert "`mysql`" in reason.summary
    assert "data stays" in reason.remedy


async def test_the_chain_leads_from_the_request_to_the_resource(town: Town) -> None:
    await town.deploy("  cart: {run: ok, port: 80}\n", "done")
    service = await town.home.service("cart")
    well = await town.why(service.id)
    assert (well.verdict, well.steps, well.summary) == (Verdict.WELL, (), "service cart: healthy")
    town.home.provisioner.broken = True
    change = await town.deploy(NEEDS, "failed")
    deployment = await town.only(change)
    resource = await machines.get_named(town.home.db, town.home.world_id, MachineKind.RESOURCE, "cart/db")
    assert resource is not None
    said = await town.why(service.id)
    assert said.verdict is Verdict.UNWELL
    kinds = (SubjectKind.CHANGE, SubjectKind.DEPLOYMENT, SubjectKind.RESOURCE)
    assert [one.subject for one in said.steps] == [
        Subject(kind, name)
        for kind, name in zip(kinds, (str(change.id), str(deployment.id), "cart/db"), strict=True)
    ]
    assert "failed in provisioning" in said.steps[1].summary
    blamed = deployment.facts.reason
    assert blamed is not None
    assert (blamed.subject, blamed.where) == (
        Subject(SubjectKind.RESOURCE, "cart/db"),
        "deployd.yaml:7:7",
    )
    assert (said.steps[1].reason, said.cause) == (blamed, said.steps[2].reason)
    root = said.steps[2].reason
    assert root is not None
    assert (root.code, root.subject) == ("QUOTA", Subject(SubjectKind.RESOURCE, "cart/db"))
    assert said.meanwhile.startswith("release 1 serves on at http://cart.test")
    assert said.meanwhile_since is not None
    assert said.next.startswith("nothing by itself")
    assert "deployd retry cart" in said.next
    assert said.directory == str(town.home.home / "source")
    assert (await town.why(deployment.id)).steps == said.steps
    assert (await town.why(change.id)).steps == said.steps


async def test_what_waits_says_for_what_and_until_when(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = town.home.provisioner.apply
    ready = asyncio.Event()

    async def slow(resource: ResourceSpec) -> Progress:
        return await apply(resource) if ready.is_set() else Wait(0.05)

    monkeypatch.setattr(town.home.provisioner, "apply", slow)
    change = await town.deploy(NEEDS + "    before: slow\n", "applying")
    deployment = await town.only(change)
    reason = await town.reason(deployment.id, "WAITING_FOR_RESOURCES")
    assert reason.subject == Subject(SubjectKind.DEPLOYMENT, str(deployment.id))
    said = await town.why(deployment.id)
    assert said.verdict is Verdict.WORKING
    assert [one.subject.kind for one in said.steps][1:] == [SubjectKind.DEPLOYMENT, SubjectKind.RESOURCE]
    assert said.deadline_at is not None
    assert said.meanwhile == "nothing serves: cart has had no release that became healthy"
    ready.set()
    await town.reason(deployment.id, "WAITING")  # for its `before`, and nothing is provisioned any more
    said = await town.why(deployment.id)
    assert said.steps[-1].reason is not None
    assert said.steps[-1].reason.summary == "before runs"
    (town.home.folder.root / "go").touch()
    await town.home.until(change.id, "done")


async def test_a_command_that_fails_is_at_its_key(town: Town) -> None:
    ended = await town.deploy("  cart:\n    run: ok\n    before: broken\n", "failed")
    deployment = await town.only(ended)
    reason = deployment.facts.reason
    assert reason is not None
    assert (reason.code, reason.evidence) == ("TASK_FAILED", "no table")
    assert reason.subject == Subject(SubjectKind.DEPLOYMENT, str(deployment.id))
    said = await town.why(deployment.id)
    assert "failed in releasing" in said.summary
    assert ended.facts.reason == replace(reason, summary=ended.facts.reason.summary)  # type: ignore[union-attr]


async def test_a_try_that_failed_says_when_the_next_is(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "backoff", lambda attempt: timedelta(seconds=2))  # time to be seen
    change = await town.deploy("  cart: {run: flaky, port: 80}\n", "applying")
    deployment = await town.only(change)
    reason = await town.reason(deployment.id, "RETRYABLE")
    assert reason.fault is Fault.ERRORED
    assert reason.subject == Subject(SubjectKind.DEPLOYMENT, str(deployment.id))
    said = await town.why(deployment.id)
    assert said.verdict in (Verdict.WORKING, Verdict.WELL)
    if said.verdict is Verdict.WORKING:
        assert said.next
    await town.home.until(change.id, "done")


async def test_health_and_address_that_change_are_news_of_the_service(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.deploy("  cart: {run: wilting, port: 80}\n", "done")
    service = await town.home.service("cart")
    town.home.folder.mark("ill")
    await town.wake(service.id)
    sick = await town.told(service.id, "SICK")
    assert sick.subject == Subject(SubjectKind.SERVICE, "cart")
    said = await town.why(service.id)
    assert said.verdict is Verdict.UNWELL
    assert (said.steps[0].reason, said.summary) == (sick, "service cart: degraded")
    assert "and is degraded" in said.meanwhile
    assert said.next == "looks at it again, and puts right what it can"
    (town.home.folder.root / "mark-ill").unlink()
    await town.wake(service.id)
    well = await town.told(service.id, "HEALTH_CHANGED")
    assert (well.subject, well.where) == (sick.subject, None)
    assert well.summary.endswith("→ Healthy")
    assert (await town.why(service.id)).verdict is Verdict.WELL
    route = StandinRouter.route

    async def elsewhere(self: StandinRouter, *given: object, **more: object) -> Routed:
        return replace(await route(self, *given, **more), url="http://other.test")  # type: ignore[arg-type]

    monkeypatch.setattr(StandinRouter, "route", elsewhere)
    await town.wake(service.id)
    moved = await town.told(service.id, "ADDRESS_CHANGED")
    assert moved.subject == Subject(SubjectKind.SERVICE, "cart")
    assert "http://other.test" in moved.summary


async def test_whoever_gave_it_up_is_named(town: Town) -> None:
    first = await town.only(await town.deploy("  cart: {run: slow, port: 80}\n", "applying"))
    await town.home.until(first.id, "verifying")
    second = await town.only(await town.deploy("  cart: {run: slow, port: 81}\n", "applying"))
    third = await town.only(await town.deploy("  cart: {run: slow, port: 82}\n", "applying"))
    await town.home.until(second.id, "superseded")
    reason = await town.reason(second.id, "SUPERSEDED")
    assert reason.code == "SUPERSEDED"
    assert reason.subject == Subject(SubjectKind.DEPLOYMENT, str(second.id))
    for one in (third, first):
        await town.home.operations.cancel(ADA, one.id)
        await town.home.until(one.id, "cancelled", "superseded")
    reason = await town.reason(first.id, "CANCELLED")
    assert reason.code == "CANCELLED"
    assert "person:ada" in reason.summary
    assert (await town.why(first.id)).cause == reason


async def test_a_resource_that_nobody_has_says_so_and_rests(town: Town) -> None:
    await town.deploy(NEEDS, "done")
    resource = await machines.get_named(town.home.db, town.home.world_id, MachineKind.RESOURCE, "cart/db")
    assert resource is not None
    await town.home.operations.suspend(ADA, "local", "cart")
    reason = await town.told(resource.id, "SUSPENDED")
    assert reason.code == "SUSPENDED"
    assert reason.subject == Subject(SubjectKind.RESOURCE, "cart/db")
    assert (await town.why(resource.id)).verdict is Verdict.WELL
    await town.home.until((await town.home.service("cart")).id, "suspended")
    await town.deploy("  cart: {run: ok, port: 80}\n", "done")
    reason = await town.told(resource.id, "ORPHANED")
    assert reason.code == "ORPHANED"
    assert (reason.subject, reason.remedy[:10]) == (Subject(SubjectKind.RESOURCE, "cart/db"), "A manifest")


async def test_a_resource_that_stays_unwell_fails_who_needs_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.deploy(NEEDS, "done")

    async def ill(resource: ResourceSpec) -> Health:
        return Health.DEGRADED

    monkeypatch.setattr(town.home.provisioner, "observe", ill)
    monkeypatch.setattr(provisioning, "_PATIENCE", timedelta())
    resource = await machines.get_named(town.home.db, town.home.world_id, MachineKind.RESOURCE, "cart/db")
    assert resource is not None
    await town.wake(resource.id)
    await town.told(resource.id, "HEALTH_CHANGED")
    ended = await town.deploy(NEEDS + "    env: {A: b}\n", "failed")
    reason = (await town.only(ended)).facts.reason
    assert reason is not None
    assert (reason.code, reason.where) == ("RESOURCE_UNWELL", "deployd.yaml:7:7")
    assert reason.subject == Subject(SubjectKind.RESOURCE, "cart/db")
    assert reason.remedy
    said = await town.why(ended.id)
    assert said.steps[-1].summary == "resource cart/db (postgres): degraded"
    assert said.cause == reason


async def test_a_secret_that_is_gone_is_said_at_its_variable(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, apply = town.home, StandinDeployer.apply

    async def strict(
        self: StandinDeployer, service: ServiceRef, release: ReleaseSpec, *, alone: bool
    ) -> Progress:
        if release.missing is not None:
            return Failed(release.missing)
        return await apply(self, service, release, alone=alone)

    monkeypatch.setattr(StandinDeployer, "apply", strict)
    await home.context.vault.set_secret(home.world_id, "payment", "sesame-open", "person:ada")
    await town.deploy('  cart: {run: ok, port: 80, env: {A: b, KEY: "${secrets.payment}"}}\n', "done")
    service = await home.service("cart")
    await home.context.vault.unset_secret(home.world_id, "payment")
    for name in home.running(service.id):
        home.folder.remove(service.id, name)
    await town.wake(service.id)
    reason = await town.told(service.id, "REFERENCE_MISSING")
    assert reason.code == "REFERENCE_MISSING"
    assert (reason.subject, reason.where) == (Subject(SubjectKind.SERVICE, "cart"), "deployd.yaml:3:41")
    assert reason.remedy == "Set it: deployd secret set payment"
    assert (await town.why(service.id)).cause == reason
