"""From a change to a service that serves, on a real database, with a stand-in deployer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployd.engine.acts import ACTS
from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome
from deployd.errors import Conflict, Forbidden, InputError, NotFound, Unauthenticated
from deployd.model.actor import Actor, Role
from deployd.model.facts import ChangeFacts
from deployd.model.machine import Machine
from deployd.model.state import Health, MachineKind
from deployd.model.world import Capability
from deployd.store import releases, worlds
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house


@pytest.fixture
async def home(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path) as running:
        yield running


async def test_a_change_deploys_its_services_and_they_serve(home: House) -> None:
    change = await home.deploy(cart="ok", shop="ok")
    await home.until(change.id, "done")
    for name in ("cart", "shop"):
        service = await home.service(name)
        await home.until(service.id, "serving")
        facts = await home.facts(name)
        assert facts.health is Health.HEALTHY
        assert facts.address == "http://x"
        assert home.running(service.id) == [f"{facts.serving}.ok"]
    (one, _) = await home.deployments(change.id)
    assert await home.path(one.id) == [
        "queued",
        "fetching",
        "planning",
        "building",
        "provisioning",
        "releasing",
        "verifying",
        "succeeded",
    ]
    history = await home.history()
    assert history[0].actor == "person:ada"
    assert {one.actor for one in history} == {"person:ada", "deployd"}
    await home.check_whole()


async def test_a_change_is_done_when_its_services_serve_what_it_made(
    database: Database, tmp_path: Path
) -> None:
    act, late = ACTS[MachineKind.SERVICE, "follow_deployment"], 0.3

    async def slow(context: Context, machine: Machine) -> Outcome:
        outcome = await act(context, machine)
        if isinstance(outcome, Go):
            await asyncio.sleep(late)
        return outcome

    acts = {**ACTS, (MachineKind.SERVICE, "follow_deployment"): slow}
    async with house(database, tmp_path, acts=acts) as home:
        for run in ("ok", "better"):
            await home.until((await home.deploy(cart=run)).id, "done")
            service = await home.service("cart")
            assert service.state == "serving"
            assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.{run}"]
        await home.check_whole()


async def test_a_second_deployment_replaces_the_first_and_rollback_goes_back(home: House) -> None:
    await home.until((await home.deploy(cart="ok")).id, "done")
    await home.until((await home.deploy(cart="better")).id, "done")
    service = await home.service("cart")
    await home.until(service.id, "serving")
    second = await home.facts("cart")
    assert home.running(service.id) == [f"{second.serving}.better"]

    await home.operations.rollback(ADA, "local", "cart")
    async with asyncio.timeout(30):
        while (await home.facts("cart")).serving == second.serving:
            await asyncio.sleep(0.01)
    await home.until(service.id, "serving")
    back = await home.facts("cart")
    assert (back.serving, back.previous) == (second.previous, second.serving)
    assert home.running(service.id) == [f"{back.serving}.ok"]
    assert len(await releases.list_of(home.db, home.world_id, service.id, 10)) == 2
    await home.check_whole()


async def test_whoever_sees_a_deployment_succeed_goes_back_to_what_was_before_it(
    database: Database, tmp_path: Path
) -> None:
    """Though the service has not heard of that success yet."""
    act, heard = ACTS[MachineKind.SERVICE, "follow_deployment"], asyncio.Event()
    heard.set()

    async def late(context: Context, machine: Machine) -> Outcome:
        await heard.wait()
        return await act(context, machine)

    acts = {**ACTS, (MachineKind.SERVICE, "follow_deployment"): late}
    async with house(database, tmp_path, acts=acts) as home:
        for run in ("ok", "better"):
            await home.until((await home.deploy(cart=run)).id, "done")
        second, service = await home.facts("cart"), await home.service("cart")
        heard.clear()
        change = await home.deploy(cart="best")
        await home.until(service.id, "deploying")
        async with asyncio.timeout(30):
            while [one.state for one in await home.deployments(change.id)] != ["succeeded"]:
                await asyncio.sleep(0.01)
        assert (await home.facts("cart")).serving == second.serving
        await home.operations.rollback(ADA, "local", "cart")
        heard.set()
        async with asyncio.timeout(30):
            while home.running(service.id) != [f"{second.serving}.better"]:
                await asyncio.sleep(0.01)
        await home.until(service.id, "serving")
        assert (await home.facts("cart")).serving == second.serving


@pytest.mark.parametrize(("run", "code"), [("broken", "BROKEN"), ("sick", "SICK")])
async def test_what_fails_gives_way_to_the_release_before(home: House, run: str, code: str) -> None:
    await home.until((await home.deploy(cart="ok")).id, "done")
    before = await home.facts("cart")
    change = await home.deploy(cart=run)
    ended = await home.until(change.id, "failed")
    (deployment,) = await home.deployments(change.id)
    assert deployment.state == "rolled_back"
    assert deployment.facts.reason is not None
    assert deployment.facts.reason.code == code
    assert ended.facts.reason is not None
    assert "cart rolled back" in ended.facts.reason.summary
    service = await home.service("cart")
    await home.until(service.id, "serving")
    assert (await home.facts("cart")).serving == before.serving
    assert home.running(service.id) == [f"{before.serving}.ok"]


async def test_a_first_release_that_fails_leaves_nothing(home: House) -> None:
    change = await home.deploy(cart="sick")
    await home.until(change.id, "failed")
    (deployment,) = await home.deployments(change.id)
    assert deployment.state == "failed"
    service = await home.service("cart")
    await home.until(service.id, "idle")
    assert home.running(service.id) == []


async def test_what_never_becomes_healthy_ends_at_its_deadline(home: House) -> None:
    home.patience = 2
    change = await home.deploy(cart="slow")
    await home.until(change.id, "failed")
    (deployment,) = await home.deployments(change.id)
    assert deployment.facts.reason is not None
    assert deployment.facts.reason.code == "DEADLINE_PASSED"
    assert home.running((await home.service("cart")).id) == []


async def test_what_fails_for_a_while_is_tried_again(home: House) -> None:
    change = await home.deploy(cart="flaky")
    await home.until(change.id, "done")
    (deployment,) = await home.deployments(change.id)
    assert deployment.facts.reason is None
    assert deployment.attempt == 0


async def test_a_refused_plan_fails_the_change_before_anything_starts(home: House) -> None:
    change = await home.deploy(cart="ok", shop="refused")
    ended = await home.until(change.id, "failed")
    assert ended.facts.reason is not None
    assert ended.facts.reason.code == "NOT_HERE"
    assert ended.facts.reason.remedy == "Write another `run:`."
    with pytest.raises(NotFound):
        await home.service("cart")


async def test_a_broken_manifest_says_where(home: House) -> None:
    path = Path(home.source(cart="ok"))
    (path / "deployd.yaml").write_text("deployd: 1\nservices:\n  cart: {rum: x}\n")
    change = await home.operations.deploy(ADA, "local", str(path))
    ended = await home.until(change.id, "failed")
    assert ended.facts.reason is not None
    assert ended.facts.reason.code == "INVALID_MANIFEST"
    assert ended.facts.reason.where == "deployd.yaml:3:10"
    assert ended.facts.reason.evidence.startswith("deployd.yaml:3:10: services.cart.rum: is an unknown key")
    assert "run" in ended.facts.reason.summary


async def test_an_unknown_service_names_its_neighbour(home: House) -> None:
    change = await home.operations.deploy(ADA, "local", home.source(cart="ok"), ["card"])
    ended = await home.until(change.id, "failed")
    assert ended.facts.reason is not None
    assert "'cart'" in ended.facts.reason.remedy


async def test_cancel_while_releasing_undoes_it(home: House) -> None:
    change = await home.deploy(cart="hang")
    while (await home.get(change.id)).state != "applying" or not await home.deployments(change.id):
        await asyncio.sleep(0.01)
    (deployment,) = await home.deployments(change.id)
    await home.until(deployment.id, "releasing")
    await home.operations.cancel(ADA, change.id)
    ended = await home.until(deployment.id, "cancelled")
    assert ended.facts.reason is not None
    assert "person:ada" in ended.facts.reason.summary
    await home.until(change.id, "cancelled")
    await home.until((await home.service("cart")).id, "idle")
    await home.check_whole()


async def test_a_newer_deployment_supersedes_one_that_waits(home: House) -> None:
    first = await home.deploy(cart="hang")
    while (await home.get(first.id)).state != "applying" or not await home.deployments(first.id):
        await asyncio.sleep(0.01)
    (hanging,) = await home.deployments(first.id)
    await home.until(hanging.id, "releasing")
    second = await home.deploy(cart="ok")
    await home.until(second.id, "applying")
    third = await home.deploy(cart="best")
    await home.until(second.id, "cancelled")
    assert [one.state for one in await home.deployments(second.id)] == ["superseded"]
    await home.operations.cancel(ADA, hanging.id)
    await home.until(third.id, "done")
    service = await home.service("cart")
    await home.until(service.id, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.best"]
    await home.check_whole()


async def test_suspend_resume_and_retire(home: House) -> None:
    await home.until((await home.deploy(cart="ok")).id, "done")
    service = await home.service("cart")
    await home.until(service.id, "serving")
    await home.operations.suspend(ADA, "local", "cart")
    await home.until(service.id, "suspended")
    assert home.running(service.id) == []
    assert (await home.facts("cart")).health is Health.SUSPENDED
    await home.operations.resume(ADA, "local", "cart")
    await home.until(service.id, "serving")
    while not home.running(service.id):
        await asyncio.sleep(0.01)
    await home.operations.retire(ADA, "local", "cart")
    await home.until(service.id, "retired")
    assert home.running(service.id) == []
    await home.until((await home.deploy(cart="ok")).id, "done")
    assert (await home.service("cart")).id != service.id
    await home.check_whole()


async def test_a_deployment_of_a_suspended_service_makes_it_serve(home: House) -> None:
    await home.until((await home.deploy(cart="ok")).id, "done")
    service = await home.service("cart")
    await home.operations.suspend(ADA, "local", "cart")
    await home.until(service.id, "suspended")
    await home.until((await home.deploy(cart="sick")).id, "failed")
    await home.until(service.id, "suspended")
    assert home.running(service.id) == []
    await home.until((await home.deploy(cart="ok")).id, "done")
    await home.until(service.id, "serving")


async def test_a_failed_deployment_can_be_retried_as_a_new_one(home: House) -> None:
    change = await home.deploy(cart="sick")
    await home.until(change.id, "failed")
    (failed,) = await home.deployments(change.id)
    await home.operations.retry(ADA, failed.id)
    retried = await _another(home, failed.service_id, failed.id)
    ended = await home.until(retried, "failed")
    assert deployment_facts(ended).purpose == "retry"
    assert (await home.get(failed.id)).state == "failed"


async def _another(home: House, service_id: object, known: object) -> object:
    from deployd.store import machines

    while True:
        for one in await machines.list_deployments(home.db, home.world_id, service_id, 5):
            if one.id != known:
                return one.id


async def test_missing_and_stray_instances_are_put_right(home: House) -> None:
    await home.until((await home.deploy(cart="ok")).id, "done")
    service = await home.service("cart")
    await home.until(service.id, "serving")
    (name,) = home.running(service.id)
    home.folder.remove(service.id, name)
    home.folder.make(service.id, f"{service.id}.ok")  # an instance of a release that nobody serves
    while home.running(service.id) != [name]:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        while "RESTORED" not in [one.reason.code for one in await home.history() if one.reason]:
            await asyncio.sleep(0.01)
    await home.check_whole()


async def test_idempotency_keys(home: House) -> None:
    source = home.source(cart="ok")
    first = await home.operations.deploy(ADA, "local", source, key="k1")
    again = await home.operations.deploy(ADA, "local", source, key="k1")
    assert first.id == again.id
    with pytest.raises(Conflict):
        await home.operations.deploy(ADA, "local", source, ["cart"], key="k1")
    assert (await home.operations.deploy(ADA, "local", source, key="k2")).id != first.id
    assert isinstance(first.facts, ChangeFacts)


async def test_bad_requests_are_refused_with_what_would_be_right(home: House) -> None:
    source = home.source(cart="ok")
    with pytest.raises(NotFound, match="no world") as found:
        await home.operations.deploy(ADA, "locl", source)
    assert "'local'" in found.value.remedy
    with pytest.raises(InputError, match="not absolute"):
        await home.operations.deploy(ADA, "local", "relative")
    with pytest.raises(InputError, match="no folder"):
        await home.operations.deploy(ADA, "local", "/does/not/exist")
    with pytest.raises(InputError, match="no capabilities"):
        await home.operations.deploy(ADA, "system", source)
    with pytest.raises(Unauthenticated):
        await home.operations.deploy(None, "local", source)
    with pytest.raises(Forbidden):
        await home.operations.deploy(Actor("token:x", Role.VIEWER), "local", source)
    with pytest.raises(NotFound):
        await home.operations.suspend(ADA, "local", "nobody")


async def test_where_the_world_asks_for_approval_nothing_starts_before(
    database: Database, tmp_path: Path
) -> None:
    await worlds.add(database, "careful", {"main": Capability("deploy:process", approval=True)})
    async with house(database, tmp_path, world="careful") as home:
        change = await home.deploy(cart="ok")
        waiting = await home.until(change.id, "awaiting_approval")
        assert isinstance(waiting.facts, ChangeFacts)
        assert waiting.facts.plan == ("cart: start ok",)
        assert waiting.facts.plan_hash is not None
        with pytest.raises(Conflict, match="another one"):
            await home.operations.approve(ADA, change.id, "0" * 16)
        with pytest.raises(Forbidden):
            await home.operations.approve(Actor("x", Role.DEVELOPER), change.id, waiting.facts.plan_hash)
        await home.operations.approve(ADA, change.id, waiting.facts.plan_hash)
        await home.until(change.id, "done")
        (deployment,) = await home.deployments(change.id)
        assert deployment_facts(deployment).approved_by == "person:ada"


async def test_an_approval_does_not_hold_for_another_plan(database: Database, tmp_path: Path) -> None:
    await worlds.add(database, "careful", {"main": Capability("deploy:process", approval=True)})
    async with house(database, tmp_path, world="careful") as home:
        change = await home.deploy(cart="moody")  # its plan is another one each time
        waiting = await home.until(change.id, "awaiting_approval")
        assert isinstance(waiting.facts, ChangeFacts)
        await home.operations.approve(ADA, change.id, str(waiting.facts.plan_hash))
        while not (made := await home.deployments(change.id)):
            await asyncio.sleep(0.01)
        asked = await home.until(made[0].id, "awaiting_approval")
        await home.operations.approve(ADA, asked.id, str(deployment_facts(asked).plan_hash))
        await home.until(change.id, "done")


async def test_a_change_cancelled_before_its_deployments_makes_none(
    database: Database, tmp_path: Path
) -> None:
    """The request is answered between the plan and the births, where there is nobody to pass it on to."""
    begun = asyncio.Event()
    tries = 0

    async def held_up(context: Context, machine: Machine) -> Outcome:
        nonlocal tries
        tries += 1
        if tries == 1:
            begun.set()
            await asyncio.Event().wait()
        return await ACTS[MachineKind.CHANGE, "follow"](context, machine)

    async with house(database, tmp_path, acts={**ACTS, (MachineKind.CHANGE, "follow"): held_up}) as home:
        change = await home.deploy(cart="ok")
        await begun.wait()
        await home.operations.cancel(ADA, change.id)
        await home.until(change.id, "cancelled")
        assert await home.deployments(change.id) == []
        with pytest.raises(NotFound):
            await home.service("cart")
        await home.check_whole()
