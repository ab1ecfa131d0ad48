"""What services need of resources: made, handed over, kept while nobody names them, deleted by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployd.engine.holding import WAKE
from deployd.engine.infrastructure import Infrastructure
from deployd.engine.released import release_spec
from deployd.engine.worlds import Worlds
from deployd.errors import Conflict, Forbidden, NotFound
from deployd.model.actor import Actor, Role
from deployd.model.facts import ChangeFacts, ResourceFacts
from deployd.model.machine import Machine
from deployd.model.state import Health, MachineKind, Ownership
from deployd.model.world import Capability
from deployd.store import machines, worlds
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house

NEEDS = """\
    resources: {db: postgres}
    env: {URL: "${resources.db.url}"}
"""
SHARED = """\
    resources: {db: {slug: postgres, shared: orders}}
    env: {URL: "${resources.db.url}"}
"""


class Town:
    """A house with a world that makes databases."""

    def __init__(self, home: House) -> None:
        self.home = home

    def source(self, **services: str) -> str:
        """A working directory; each service with its further lines, `run: ok` before them."""
        folder = self.home.home / "source"
        folder.mkdir(exist_ok=True)
        lines = ["deployd: 1", "services:"]
        for name, more in services.items():
            run = "" if "run:" in more else "    run: ok\n"
            lines += [f"  {name}:", f"{run}{more}".rstrip()]
        written = self.home.home / "deployd.yaml"
        written.write_text("\n".join(lines) + "\n")
        written.replace(folder / "deployd.yaml")
        return str(folder)

    async def deploy(self, state: str = "done", **services: str) -> Machine:
        folder = self.source(**services)
        change = await self.home.operations.deploy(ADA, self.home.world, folder, list(services))
        ended = await self.home.until(change.id, state)
        for name in services:
            service = await machines.get_named(self.home.db, self.home.world_id, MachineKind.SERVICE, name)
            if service is not None:
                await self.home.until(service.id, "serving", "idle")
        return ended

    async def resource(self, name: str) -> Machine | None:
        return await machines.get_named(self.home.db, self.home.world_id, MachineKind.RESOURCE, name)

    async def facts(self, name: str) -> ResourceFacts:
        found = await self.resource(name)
        assert found is not None
        assert isinstance(found.facts, ResourceFacts)
        return found.facts

    async def becomes(self, name: str, **wanted: object) -> ResourceFacts:
        """The resource's facts, once they are so."""
        async with asyncio.timeout(20):
            while True:
                facts = await self.facts(name)
                if all(getattr(facts, key) == value for key, value in wanted.items()):
                    return facts
                await asyncio.sleep(0.01)


@pytest.fixture
async def town(database: Database, tmp_path: Path) -> AsyncIterator[Town]:
    await worlds.add_capability(database, "local", "data", Capability("local/postgres"))
    async with house(database, tmp_path) as running:
        yield Town(running)


async def test_a_resource_is_made_before_its_service_and_handed_over(town: Town) -> None:
    home = town.home
    change = await town.deploy(cart=NEEDS)
    [deployment] = await home.deployments(change.id)
    assert "create resource cart/db (postgres)" in deployment_facts(deployment).actions
    facts = await town.facts("cart/db")
    service = await home.service("cart")
    assert (facts.users, facts.health, facts.ownership) == (
        (service.id,),
        Health.HEALTHY,
        Ownership.MANAGED,
    )
    assert facts.settings == {"connections": 20}
    serving = (await home.facts("cart")).serving
    assert serving is not None
    told = await release_spec(home.context, home.world_id, serving)
    assert told.env["URL"] == "x://y"
    assert told.secrets == {"URL"}
    assert told.hidden == {"db.url": "x://y"}
    journal = home.folder.journal()
    made = [line for line in journal if line.startswith("made")]
    assert [line.split()[-1] for line in made[:2]] == ["begun", "object"], "before the service's instance"
    again = await town.deploy(cart=NEEDS + "    size: {cpu: 1}\n")
    assert (await home.deployments(again.id))[0].state == "succeeded"
    assert [line for line in home.folder.journal() if line.endswith("object")] == [made[1]], "made once"


async def test_two_services_share_one(town: Town) -> None:
    await town.deploy(cart=SHARED, mailer=SHARED)
    facts = await town.becomes("orders", health=Health.HEALTHY)
    assert len(facts.users) == 2
    assert len([line for line in town.home.folder.journal() if line.endswith("object")]) == 1
    mailer = await town.home.service("mailer")
    await town.deploy(cart="")
    left = await town.becomes("orders", users=(mailer.id,))
    assert left.ownership is Ownership.MANAGED


async def test_what_no_manifest_names_is_orphaned_and_comes_back_with_its_data(town: Town) -> None:
    await town.deploy(cart=NEEDS)
    before = await town.resource("cart/db")
    assert before is not None
    await town.deploy(cart="")
    orphan = await town.becomes("cart/db", ownership=Ownership.ORPHANED, suspended=True)
    assert orphan.users == ()
    assert orphan.reason is not None
    assert "object" in town.home.running(before.id), "its data is kept"
    change = await town.deploy(cart=NEEDS)
    [deployment] = await town.home.deployments(change.id)
    assert "take back resource cart/db with its data" in deployment_facts(deployment).actions
    back = await town.becomes("cart/db", ownership=Ownership.MANAGED, health=Health.HEALTHY)
    assert not back.suspended
    after = await town.resource("cart/db")
    assert after is not None
    assert after.id == before.id


async def test_it_rests_while_nobody_who_has_it_runs_and_is_back_before_they_do(town: Town) -> None:
    home = town.home
    await town.deploy(cart=NEEDS)
    service = await home.service("cart")
    await home.operations.suspend(ADA, home.world, "cart")
    await home.until(service.id, "suspended")
    await town.becomes("cart/db", suspended=True, health=Health.SUSPENDED)
    home.folder.note("-- resumed")
    await home.operations.resume(ADA, home.world, "cart")
    await town.becomes("cart/db", suspended=False, health=Health.HEALTHY)
    async with asyncio.timeout(20):
        while (await home.facts("cart")).health is not Health.HEALTHY or not home.running(service.id):
            await asyncio.sleep(0.01)
    journal = home.folder.journal()
    after = journal[journal.index("-- resumed") :]
    woken = next(n for n, line in enumerate(after) if line.startswith("woke"))
    started = next(n for n, line in enumerate(after) if line.startswith("made") and line.endswith(".ok"))
    assert woken < started


async def test_what_cannot_be_provided_fails_plainly_and_leaves_what_serves(town: Town) -> None:
    home = town.home
    await town.deploy(cart="")
    serving = (await home.facts("cart")).serving
    home.provisioner.broken = True
    change = await town.deploy("failed", cart=NEEDS)
    [deployment] = await home.deployments(change.id)
    reason = deployment_facts(deployment).reason
    assert reason is not None
    assert (reason.code, deployment.state) == ("QUOTA", "failed")
    assert "resource cart/db could not be provided" in reason.summary
    assert (await home.facts("cart")).serving == serving
    await town.becomes("cart/db", users=(), ownership=Ownership.ORPHANED)
    home.provisioner.broken = False
    await town.deploy(cart=NEEDS)
    assert (await town.facts("cart/db")).health is Health.HEALTHY


async def test_a_resource_that_goes_missing_is_made_again(town: Town) -> None:
    await town.deploy(cart=NEEDS)
    found = await town.resource("cart/db")
    assert found is not None
    town.home.folder.remove(found.id, "object")
    await town.home.committer.store(posts=(Post(town.home.world_id, found.id, WAKE, "test"),))
    async with asyncio.timeout(20):
        while "object" not in town.home.running(found.id):
            await asyncio.sleep(0.01)
    assert (await town.becomes("cart/db", health=Health.HEALTHY)).reason is None


async def test_a_missing_secret_starts_nothing_and_what_runs_goes_on(town: Town) -> None:
    home = town.home
    await home.context.vault.set_secret(home.world_id, "payment", "sesame-open", "person:ada")
    with_secret = '    env: {KEY: "${secrets.payment}"}\n'
    await town.deploy(cart=with_secret)
    serving = (await home.facts("cart")).serving
    assert serving is not None
    told = await release_spec(home.context, home.world_id, serving)
    assert (told.env["KEY"], told.secrets, told.hidden) == (
        "sesame-open",
        {"KEY"},
        {"payment": "sesame-open"},
    )
    await home.context.vault.unset_secret(home.world_id, "payment")
    told = await release_spec(home.context, home.world_id, serving)
    assert told.missing is not None
    assert "deployd secret set payment" in told.missing.remedy
    change = await town.deploy("failed", cart=with_secret)
    assert "deployd secret set payment" in str(change.facts.reason)
    assert (await home.facts("cart")).health is Health.HEALTHY


async def test_deleting_takes_a_name_an_operator_and_nobody_who_has_it(town: Town) -> None:
    home = town.home
    asked = Infrastructure(home.operations, home.context.driver)
    await town.deploy(cart=NEEDS)
    first = await town.resource("cart/db")
    assert first is not None
    with pytest.raises(Conflict, match="in use by cart"):
        await asked.delete(ADA, home.world, "cart/db")
    with pytest.raises(NotFound, match="no resource"):
        await asked.delete(ADA, home.world, "cart/bd")
    with pytest.raises(Forbidden):
        await asked.delete(Actor("person:bob", Role.DEVELOPER), home.world, "cart/db")
    await town.deploy(cart="")
    await town.becomes("cart/db", ownership=Ownership.ORPHANED)
    await asked.delete(ADA, home.world, "cart/db")
    await home.until(first.id, "deleted")
    assert home.running(first.id) == []
    assert await home.context.vault.outputs(home.world_id, first.id) == {}
    await town.deploy(cart=NEEDS)
    second = await town.resource("cart/db")
    assert second is not None
    assert second.id != first.id, "another one, which is not taken for the one that was deleted"


async def test_an_ephemeral_world_drops_its_own_and_another_keeps_its_data(town: Town) -> None:
    home = town.home
    asked = Worlds(home.operations, home.context.driver)
    with pytest.raises(Conflict, match="stays"):
        await asked.retire(ADA, "local")
    ends = {}
    for name, ephemeral in (("preview", True), ("lasting", False)):
        made = await asked.create(ADA, name, "local", ephemeral=ephemeral)
        change = await home.operations.deploy(ADA, name, town.source(cart=NEEDS))
        there = replace(home, world_id=made.world_id, world=name)
        await there.until(change.id, "done")
        retired = await asked.retire(ADA, name)
        ended = await there.until(retired.id, "done", "failed")
        ends[name] = ended.state, ended.facts.reason and ended.facts.reason.code
        left = await machines.list_kind(home.db, made.world_id, MachineKind.RESOURCE)
        assert [one.name for one in left] == ([] if ephemeral else ["cart/db"])
        assert isinstance(ended.facts, ChangeFacts)
        gone = [(str(one.kind), one.name, str(one.action)) for one in ended.facts.items]
        both = [("service", "cart", "delete"), ("resource", "cart/db", "delete")]
        assert gone == (both if ephemeral else [])
    assert ends == {"preview": ("done", None), "lasting": ("failed", "WORLD_HAS_DATA")}
    with pytest.raises(Conflict, match="retired"):
        await home.operations.deploy(ADA, "preview", town.source(cart=""))
    again = await asked.create(ADA, "preview", "local", ephemeral=True)
    assert again.retired_at is None
