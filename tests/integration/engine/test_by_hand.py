"""Resources by hand: made, changed in place, adopted; what stands by itself is kept whoever has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployd.engine.infrastructure import Infrastructure
from deployd.engine.parameters import typed
from deployd.errors import Conflict, Forbidden, InputError, NotFound, Unsupported
from deployd.model.actor import Actor, Role
from deployd.model.definition import Definition, Parameter
from deployd.model.facts import ChangeFacts
from deployd.model.state import Health, Ownership
from deployd.model.world import Capability
from deployd.store import worlds
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, house
from tests.integration.engine.test_provisioning import SHARED, Town


class Hand(Town):
    """What a person asks of the town's resources."""

    @property
    def infrastructure(self) -> Infrastructure:
        return Infrastructure(self.home.operations, self.home.context.driver)

    async def create(self, name: str, **params: str) -> None:
        await self.infrastructure.create(ADA, "local", name, "postgres", params.items())

    async def update(self, name: str, **params: str) -> None:
        await self.infrastructure.update(ADA, "local", name, params.items())


@pytest.fixture
async def hand(database: Database, tmp_path: Path) -> AsyncIterator[Hand]:
    await worlds.add_capability(database, "local", "data", Capability("local/postgres"))
    async with house(database, tmp_path) as running:
        yield Hand(running)


async def test_one_that_stands_by_itself_is_shared_and_never_orphaned(hand: Hand) -> None:
    home = hand.home
    await hand.create("orders", connections="7")
    made = await hand.becomes("orders", health=Health.HEALTHY)
    assert (made.standing, made.users, made.settings) == (True, (), {"connections": 7})
    await hand.create("orders", connections="7")  # asked again, it is there
    assert [one for one in home.folder.journal() if one.endswith("object")] == [
        f"made {(await hand.infrastructure.resource(ADA, 'local', 'orders')).id} object"
    ]
    change = await hand.deploy(cart=SHARED)
    assert isinstance(change.facts, ChangeFacts)
    assert "cart: use resource orders with its data" in change.facts.plan
    service = await home.service("cart")
    facts = await hand.facts("orders")
    assert (facts.users, facts.settings) == ((service.id,), {"connections": 7})  # not the defaults
    with pytest.raises(Conflict, match="is in use by cart"):
        await hand.infrastructure.delete(ADA, "local", "orders")
    # A manifest cannot change what somebody set by hand; one that says the same may.
    more = SHARED.replace("shared: orders", "shared: orders, params: {connections: 9}")
    change = await hand.deploy("failed", cart=more)
    assert change.facts.reason is not None
    assert change.facts.reason.code == "RESOURCE_DIFFERS"
    assert "deployd resource update orders --param connections=…" in change.facts.reason.remedy
    await hand.update("orders", connections="9")
    await hand.becomes("orders", settings={"connections": 9}, health=Health.HEALTHY)
    await hand.deploy(cart=more)
    # It does not rest with the services that have it, nor go with them.
    await home.operations.suspend(ADA, "local", "cart")
    await home.until(service.id, "suspended")
    await home.operations.retire(ADA, "local", "cart")
    await home.until(service.id, "retired")
    facts = await hand.becomes("orders", users=())
    assert (facts.ownership, facts.suspended, facts.health) == (Ownership.MANAGED, False, Health.HEALTHY)
    resource = await hand.infrastructure.delete(ADA, "local", "orders")
    await home.until(resource.id, "deleted")
    await hand.create("orders")  # another one of this name
    assert (await hand.becomes("orders", health=Health.HEALTHY)).settings == {"connections": 20}
    await home.check_whole()


async def test_an_orphan_is_adopted(hand: Hand) -> None:
    home = hand.home
    await hand.deploy(cart="    resources: {db: postgres}\n")
    with pytest.raises(Conflict, match="is no orphan: it is in use by cart"):
        await hand.infrastructure.adopt(ADA, "local", "cart/db")
    with pytest.raises(Conflict, match="its parameters are its manifest's") as caught:
        await hand.update("cart/db", connections="9")
    assert caught.value.remedy == "Change `params:` in deployd.yaml of cart, and deploy."
    await hand.deploy(cart="")
    await hand.becomes("cart/db", ownership=Ownership.ORPHANED, suspended=True)
    with pytest.raises(Conflict) as caught:
        await hand.update("cart/db", connections="9")
    assert caught.value.remedy == "Adopt it first: deployd resource adopt cart/db"
    await hand.infrastructure.adopt(ADA, "local", "cart/db")
    facts = await hand.becomes("cart/db", suspended=False, health=Health.HEALTHY)
    assert (facts.ownership, facts.standing, facts.users, facts.reason) == (Ownership.MANAGED, True, (), None)
    with pytest.raises(Conflict, match="it stands by itself"):
        await hand.infrastructure.adopt(ADA, "local", "cart/db")
    assert any(one.reason and one.reason.code == "ADOPTED" for one in await home.history())
    await hand.update("cart/db", connections="9")
    await hand.becomes("cart/db", settings={"connections": 9})
    await hand.deploy(cart="    resources: {db: postgres}\n")
    assert (await hand.facts("cart/db")).settings == {"connections": 9}
    assert [one.split()[-1] for one in home.folder.journal()].count("object") == 1


async def test_parameters_that_come_while_it_is_made_are_not_lost(hand: Hand) -> None:
    hand.home.provisioner.broken = True
    await hand.create("orders")
    resource = await hand.infrastructure.resource(ADA, "local", "orders")
    await hand.home.until(resource.id, "failed")
    hand.home.provisioner.broken = False
    await hand.update("orders", connections="3")
    await hand.update("orders", connections="4")
    await hand.becomes("orders", settings={"connections": 4}, health=Health.HEALTHY)
    post = Post(hand.home.world_id, resource.id, "adopt", "person:ada")
    await hand.home.committer.store(posts=(post,))  # what is no orphan stays as it is
    async with asyncio.timeout(20):
        while await hand.home.db.pool.fetchval("select count(*) from mailbox"):
            await asyncio.sleep(0.01)
    assert (await hand.facts("orders")).standing


async def test_what_is_wrong_is_told(hand: Hand) -> None:
    infrastructure = hand.infrastructure
    await hand.create("orders")
    with pytest.raises(Conflict, match="has a resource 'orders' already"):
        await hand.create("orders", connections="9")
    with pytest.raises(InputError, match="is no name"):
        await hand.create("cart/db")
    with pytest.raises(Unsupported, match="cannot make 'postgre'") as caught:
        await infrastructure.create(ADA, "local", "more", "postgre")
    assert caught.value.remedy == "Did you mean 'postgres'?"
    with pytest.raises(InputError, match='"conections" is no parameter of postgres, would be "connections"'):
        await hand.update("orders", conections="9")
    for wrong in ("many", "0", "101", "1.5", "true"):
        with pytest.raises(InputError, match="would be a whole number of at least 1 and at most 100"):
            await hand.update("orders", connections=wrong)
    with pytest.raises(InputError, match="no parameter is given"):
        await hand.update("orders")
    with pytest.raises(NotFound):
        await hand.update("order", connections="9")
    developer = Actor("person:bob", Role.DEVELOPER)
    with pytest.raises(Forbidden):
        await infrastructure.create(developer, "local", "more", "postgres")
    with pytest.raises(Forbidden):
        await infrastructure.update(developer, "local", "orders", [("connections", "9")])
    with pytest.raises(Forbidden):
        await infrastructure.adopt(developer, "local", "orders")


DISK = Definition(
    "disk",
    "disk",
    "local/disk",
    params={
        "region": Parameter("string", "here", choices=("here", "there")),
        "size": Parameter("number", 1.0, minimum=0.5),
        "fast": Parameter("boolean", False),
    },
    settings={"owner": "us"},
)


def test_text_is_typed_by_the_definition() -> None:
    given = [("region", "there"), ("size", "2.5"), ("fast", "True")]
    assert typed(DISK, given) == {"region": "there", "size": 2.5, "fast": True}
    for name, text in (("region", "away"), ("size", "nan"), ("size", "0.1"), ("size", ""), ("fast", "1")):
        with pytest.raises(InputError, match=f"parameter {name} of disk is"):
            typed(DISK, [(name, text)])
    with pytest.raises(InputError, match="given twice"):
        typed(DISK, [("size", "1"), ("size", "2")])
    fixed = replace(DISK, settings={"size": 3})
    with pytest.raises(InputError, match="fixed by its definition"):
        typed(fixed, [("size", "1")])
    with pytest.raises(InputError, match="it has none"):
        typed(replace(DISK, params={}), [("size", "1")])


async def test_what_would_cost_its_data_is_refused(hand: Hand) -> None:
    await hand.create("orders", connections="7")
    await hand.becomes("orders", health=Health.HEALTHY)
    hand.home.provisioner.replacing = frozenset({"connections"})
    with pytest.raises(Conflict, match="another connections would replace it, without its data"):
        await hand.update("orders", connections="9")
    hand.home.provisioner.replacing = frozenset()
    await hand.update("orders", connections="9")
    await hand.becomes("orders", settings={"connections": 9}, health=Health.HEALTHY)
