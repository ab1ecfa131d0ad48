"""A rollback that sticks: what it restores, what it holds, what it warns of; and holds by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployd.engine.birth import birth
from deployd.engine.context import ENTRYPOINT
from deployd.engine.released import release_spec
from deployd.engine.restraint import Restraint
from deployd.errors import Conflict, Forbidden, InputError, NotFound
from deployd.model.actor import Actor, Role
from deployd.model.facts import ChangeFacts, DeploymentFacts, ServiceFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.spec import BeforeSpec
from deployd.model.state import Ownership
from deployd.model.world import Capability
from deployd.store import machines, releases, worlds
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house


class Shop:
    """One service, `cart`, deployed from a folder again and again."""

    def __init__(self, home: House) -> None:
        self.home = home
        self.restraint = Restraint(home.operations)

    async def deploy(self, run: str, state: str = "done", *, named: bool = False, **more: bool) -> Machine:
        """A change, once it has ended so."""
        services = ["cart"] if named else []
        change = await self.home.operations.deploy(ADA, "local", self.home.source(cart=run), services, **more)
        ended = await self.home.until(change.id, state)
        if (await self.home.facts("cart")).wish is None:
            await self.home.until((await self.home.service("cart")).id, "serving", "suspended")
        return ended

    async def releases(self) -> dict[int, Release]:
        service = await self.home.service("cart")
        found = await releases.list_of(self.home.db, self.home.world_id, service.id, 99)
        return {one.number: one for one in found}

    async def roll_back(self, number: int | None = None, state: str = "succeeded") -> Machine:
        """The deployment that goes back, once it has ended and its service knows."""
        known = {one.id for one in await self._deployments()}
        target = None if number is None else (await self.releases())[number].id
        await self.home.operations.rollback(ADA, "local", "cart", target)
        async with asyncio.timeout(20):
            while not (made := [one for one in await self._deployments() if one.id not in known]):
                await asyncio.sleep(0.01)
        ended = await self.home.until(made[0].id, state)
        await self.facts(lambda facts: facts.current is None)
        return ended

    async def _deployments(self) -> list[Machine]:
        service = await self.home.service("cart")
        return await machines.list_deployments(self.home.db, self.home.world_id, service.id, 99)

    async def facts(self, true: Callable[[ServiceFacts], bool]) -> ServiceFacts:
        """The service's facts, once they are so."""
        async with asyncio.timeout(20):
            while not true(facts := await self.home.facts("cart")):
                await asyncio.sleep(0.01)
        return facts

    async def held(self, *numbers: int | None) -> ServiceFacts:
        return await self.facts(lambda facts: {one.number for one in facts.holds} == set(numbers))

    async def serving(self) -> int:
        facts = await self.home.facts("cart")
        return next(one.number for one in (await self.releases()).values() if one.id == facts.serving)


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    await worlds.add_capability(database, "local", "data", Capability("local/postgres"))
    await worlds.add_capability(database, "local", ENTRYPOINT, Capability("route:standin"))
    async with house(database, tmp_path) as running:
        yield Shop(running)


def lines(change: Machine) -> str:
    assert isinstance(change.facts, ChangeFacts)
    return "\n".join(change.facts.plan)


FIRST = """\
    run: ok
    port: 80
    health: {path: /first, timeout: 2s}
    env: {COLOUR: green, URL: "${resources.db.url}"}
    resources: {db: {slug: postgres, params: {connections: 7}}}
    routes: [{host: shop.example.com, path: /cart}]
    rollout: blue-green
    scale: {min: 2, max: 4}
"""
SECOND = """\
    run: better
    schedule: "0 3 29 2 *"
    env: {COLOUR: red}
"""


async def test_a_rollback_restores_everything_that_the_release_was(shop: Shop) -> None:
    home = shop.home

    async def deploy(text: str) -> None:
        folder = Path(home.source(cart="x"))
        (folder / "deployd.yaml").write_text(f"deployd: 1\nservices:\n  cart:\n{text}")
        change = await home.operations.deploy(ADA, "local", str(folder))
        await home.until(change.id, "done")
        await home.until((await home.service("cart")).id, "serving")

    await deploy(FIRST)
    service = await home.service("cart")
    first = (await shop.releases())[1]
    running = home.running(service.id)
    assert len(running) == 2
    before = await release_spec(home.context, home.world_id, first.id)
    await deploy(SECOND)
    facts = await home.facts("cart")
    assert (facts.schedule, facts.resources) == ("0 3 29 2 *", ())
    assert home.running(service.id) == []
    resource = await machines.get_named(home.db, home.world_id, home.kind.RESOURCE, "cart/db")
    assert resource is not None
    async with asyncio.timeout(20):
        while getattr((await home.get(resource.id)).facts, "ownership", None) is not Ownership.ORPHANED:
            await asyncio.sleep(0.01)

    ended = await shop.roll_back()
    assert deployment_facts(ended).spec == first.spec
    facts = await home.facts("cart")
    assert (facts.serving, facts.schedule, facts.next_run_at) == (first.id, None, None)
    assert facts.resources == (resource.id,)
    assert facts.url == "http://cart.test"
    assert home.running(service.id) == running
    after = await release_spec(home.context, home.world_id, first.id)
    assert after == before
    assert after.env == {"COLOUR": "green", "URL": "x://y"}
    there = (await home.get(resource.id)).facts
    assert getattr(there, "ownership", None) is Ownership.MANAGED
    assert getattr(there, "settings", None) == {"connections": 7}


async def test_what_was_left_does_not_come_back_by_itself(shop: Shop) -> None:
    await shop.deploy("ok")
    await shop.deploy("better")
    await shop.roll_back()
    [hold] = (await shop.home.facts("cart")).holds
    assert (hold.number, hold.by, hold.note) == (2, "person:ada", "rolled back to release 1")
    for more in ({"automatic": True}, {}):
        change = await shop.deploy("better", **more)
        assert lines(change).startswith("cart: held, as what release 2 was made of, by person:ada since 2")
        assert lines(change).endswith("(rolled back to release 1); to lift it: deployd hold cart --lift")
        assert isinstance(change.facts, ChangeFacts)
        assert (change.facts.unaffected, change.facts.deployments) == (("cart",), ())
    change = await shop.deploy("better", named=True, automatic=True)
    assert "deployd hold cart --lift" in lines(change)
    for named in (True, False):
        change = await shop.deploy("better", "failed", named=named, everything=not named)
        assert change.facts.reason is not None
        assert (change.facts.reason.code, change.facts.reason.remedy) == (
            "HELD",
            "Lift it: deployd hold cart --lift",
        )
    assert await shop.serving() == 1
    # Mended, it is deployed as ever; the old one stays held.
    await shop.deploy("good")
    assert await shop.serving() == 3
    await shop.held(2)
    await shop.deploy("better", "failed", named=True)
    # Whoever goes back without a number is led to what was served before; to a held one only by its number.
    await shop.roll_back(1)
    await shop.held(2, 3)
    with pytest.raises(Conflict, match="release 3, which service cart served before, is held"):
        await shop.home.operations.rollback(ADA, "local", "cart")
    await shop.roll_back(2)
    await shop.held(1, 3)
    await shop.restraint.lift(ADA, "local", "cart", (await shop.releases())[3].id)
    await shop.held(1)
    said = [one.reason.code for one in await shop.home.history() if one.reason]
    assert said.count("HOLD_LIFTED") == 1
    await shop.deploy("good")
    assert await shop.serving() == 4
    await shop.home.check_whole()


async def test_a_rollback_that_comes_to_nothing_holds_nothing(shop: Shop) -> None:
    await shop.deploy("wilting")
    await shop.deploy("better")
    shop.home.folder.mark("ill")
    await shop.roll_back(1, "rolled_back")
    assert (await shop.home.facts("cart")).holds == ()
    service = await shop.home.service("cart")
    retried = (await machines.list_deployments(shop.home.db, shop.home.world_id, service.id, 1))[0]
    (shop.home.folder.root / "mark-ill").unlink()
    await shop.home.operations.retry(ADA, retried.id)
    assert [one.number for one in (await shop.facts(lambda facts: facts.holds != ())).holds] == [2]
    assert await shop.serving() == 1


async def test_a_rollback_cancelled_in_the_queue_holds_nothing(shop: Shop) -> None:
    await shop.deploy("ok")
    await shop.deploy("better")
    home = shop.home
    hanging = await home.operations.deploy(ADA, "local", home.source(cart="slow"), ["cart"])
    while not (made := await home.deployments(hanging.id)):
        await asyncio.sleep(0.01)
    await home.until(made[0].id, "verifying")
    known = (await home.facts("cart")).next
    await home.operations.rollback(ADA, "local", "cart")
    facts = await shop.facts(lambda facts: facts.next not in (None, known))
    assert facts.next is not None
    await shop.held(2)
    await home.operations.cancel(ADA, facts.next.deployment_id)
    await shop.held()
    await home.operations.cancel(ADA, made[0].id)
    await home.until(hanging.id, "cancelled")
    await home.until((await home.service("cart")).id, "serving")


async def test_a_held_service_stays_at_what_it_serves(shop: Shop) -> None:
    home = shop.home
    await shop.deploy("ok")
    await shop.deploy("better")
    await shop.restraint.hold(ADA, "local", "cart", note="the sale is on")
    [hold] = (await shop.held(None)).holds
    assert hold.note == "the sale is on"
    service = await home.service("cart")
    assert any(one.actor == "person:ada" and one.trigger == "report" for one in await home.history())
    change = await shop.deploy("good")
    assert lines(change).startswith("cart: held by person:ada since ")
    assert "nothing to do" in lines(await shop.deploy("better"))
    await shop.deploy("good", "failed", named=True)
    await shop.roll_back()
    assert await shop.serving() == 1
    await shop.held(None, 2)
    await home.operations.suspend(ADA, "local", "cart")
    await home.until(service.id, "suspended")
    await shop.restraint.lift(ADA, "local", "cart")
    await shop.held()
    await shop.restraint.hold(ADA, "local", "cart", (await shop.releases())[2].id)
    await shop.held(2)
    await shop.deploy("good")
    await home.until(service.id, "serving")
    assert await shop.serving() == 3


async def test_a_hold_counts_for_what_waits_and_for_what_works(shop: Shop) -> None:
    home = shop.home
    await shop.deploy("ok")
    working = await home.operations.deploy(ADA, "local", home.source(cart="slow"), ["cart"])
    while not (made := await home.deployments(working.id)):
        await asyncio.sleep(0.01)
    await home.until(made[0].id, "verifying")
    service = await home.service("cart")
    # One that waits in the queue, born beside any change.
    waits = derived_id(service.id, "waits")
    facts = replace(deployment_facts(made[0]), requested_at=datetime.now(UTC), release_id=None, touched=False)
    one = birth(home.world_id, waits, facts, ADA.name, service_id=service.id, placement="here")
    await home.committer.store(births=(one,))
    await shop.facts(lambda facts: facts.next is not None)
    await shop.restraint.hold(ADA, "local", "cart")
    for deployment_id in (made[0].id, waits):
        ended = await home.until(deployment_id, "cancelled")
        assert ended.facts.reason is not None
        assert ended.facts.reason.code == "HELD"
    # One that asks for its turn only now.
    late = derived_id(service.id, "late")
    await home.committer.store(births=(replace(one, id=late),))
    ended = await home.until(late, "failed")
    assert ended.facts.reason is not None
    assert (ended.facts.reason.code, ended.facts.reason.remedy) == (
        "HELD",
        "Lift it: deployd hold cart --lift",
    )
    assert await home.path(late) == ["queued", "failed"]
    await home.until(service.id, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]


async def test_what_is_held_takes_nobodys_place(shop: Shop) -> None:
    """A newer deployment of what is held does not supersede the rollback that waits."""
    home = shop.home
    await shop.deploy("ok")
    await shop.deploy("better")
    service = await home.service("cart")
    working = await home.operations.deploy(ADA, "local", home.source(cart="slow"), ["cart"])
    while not (made := await home.deployments(working.id)):
        await asyncio.sleep(0.01)
    await home.until(made[0].id, "verifying")
    await home.operations.rollback(ADA, "local", "cart")
    waits = (await shop.facts(lambda facts: facts.next is not None)).next
    assert waits is not None
    second = (await shop.releases())[2]
    late = derived_id(service.id, "late")
    facts = DeploymentFacts(
        "cart", datetime.now(UTC), ADA.name, second.spec, second.source, fingerprint=second.fingerprint
    )
    one = birth(home.world_id, late, facts, ADA.name, service_id=service.id, placement="here")
    await home.committer.store(births=(one,))
    await home.until(late, "failed")
    await home.operations.cancel(ADA, made[0].id)
    await home.until(waits.deployment_id, "succeeded")
    await home.until(service.id, "serving")
    assert await shop.serving() == 1


async def test_what_is_wrong_with_holding(shop: Shop) -> None:
    await shop.deploy("ok")
    restraint, one = shop.restraint, (await shop.releases())[1].id
    with pytest.raises(Conflict, match="service cart is not held"):
        await restraint.lift(ADA, "local", "cart")
    with pytest.raises(Conflict, match="release 1 of service cart is not held"):
        await restraint.lift(ADA, "local", "cart", one)
    for ask in (restraint.hold, restraint.lift):
        with pytest.raises(NotFound, match="has no release"):
            await ask(ADA, "local", "cart", derived_id(one, "other"))
        with pytest.raises(Forbidden):
            await ask(Actor("person:eve", Role.VIEWER), "local", "cart")
    with pytest.raises(InputError, match="note"):
        await restraint.hold(ADA, "local", "cart", note="x" * 501)
    assert (await shop.home.facts("cart")).holds == ()


async def test_a_rollback_says_what_it_does_not_undo(shop: Shop) -> None:
    home = shop.home
    await shop.deploy("ok")
    service = await home.service("cart")

    async def migrate(command: str, state: str) -> None:
        latest = max((await shop.releases()).items())[1]
        deployment_id = derived_id(service.id, "migrating", command, latest.number)
        spec = replace(latest.spec, run="ok", before=BeforeSpec(command))
        facts = DeploymentFacts("cart", datetime.now(UTC), "person:ada", spec, latest.source)
        made = birth(
            home.world_id, deployment_id, facts, "person:ada", service_id=service.id, placement="here"
        )
        await home.committer.store(births=(made,))
        await home.until(deployment_id, state)
        await home.until(service.id, "serving")

    await migrate("ok", "succeeded")  # release 2
    await migrate("broken", "failed")  # 3: it ran, and failed
    await migrate("ok", "succeeded")  # 4
    there = await home.service("cart")
    assert await shop.restraint.warnings(there, (await shop.releases())[4].id) == ()
    day = datetime.now(UTC).strftime("%Y-")
    [third, fourth] = await shop.restraint.warnings(there)  # to release 2
    assert third.startswith(f'release 3 ran before: "broken" on {day}')
    assert fourth.endswith("UTC; a rollback does not undo it")
    ended = await shop.roll_back(1)
    notes = deployment_facts(ended).notes
    assert [one.partition(" on ")[0] for one in notes] == [
        'release 2 ran before: "ok"',
        'release 3 ran before: "broken"',
        'release 4 ran before: "ok"',
    ]
    with pytest.raises(NotFound):
        await shop.restraint.warnings(there, service.id)
