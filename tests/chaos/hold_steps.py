"""What goes on with holds, copies and adoptions while a deployd is killed; each may be begun twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from deployd.engine.birth import birth
from deployd.engine.infrastructure import Infrastructure
from deployd.engine.restraint import Restraint
from deployd.errors import Conflict
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.state import Health, Ownership
from deployd.store import machines, releases
from deployd.store.commit import Post
from tests.chaos.resource_steps import begin_dropped, end_dropped, provided
from tests.house import ADA, House, deployment_facts, put

__all__ = [
    "begin_adopted",
    "begin_held",
    "begin_held_at_work",
    "begin_rolled_back",
    "begin_scaled",
    "end_adopted",
    "end_held",
    "end_held_at_work",
    "end_rolled_back",
    "end_scaled",
    "held",
    "left",
    "orphaned",
    "scalable",
    "two_releases",
]


async def _service(home: House, true: Callable[[ServiceFacts], bool]) -> ServiceFacts:
    """The service's facts, once they are so."""
    async with asyncio.timeout(20):
        while not true(facts := await home.facts("cart")):
            await asyncio.sleep(0.01)
    return facts


async def _served(home: House, key: str, run: str) -> None:
    await home.until((await home.deploy(key, cart=run)).id, "done")
    await home.until((await home.service("cart")).id, "serving")


# -- a rollback


async def two_releases(home: House) -> None:
    await _served(home, "first", "ok")
    await _served(home, "second", "better")


async def begin_rolled_back(home: House) -> None:
    service = await home.service("cart")
    first = (await releases.list_of(home.db, home.world_id, service.id, 2))[-1]
    await home.operations.rollback(ADA, home.world, "cart", first.id)


async def end_rolled_back(home: House) -> None:
    service = await home.service("cart")
    second, first = await releases.list_of(home.db, home.world_id, service.id, 9)
    facts = await _service(home, lambda one: one.serving == first.id and one.current is one.next is None)
    await home.until(service.id, "serving")
    assert [one.release_id for one in facts.holds] == [second.id]
    assert home.running(service.id) == [f"{first.id}.ok"]
    change = await home.until((await home.deploy("again", cart="better")).id, "done")
    assert await home.deployments(change.id) == []


# -- a deployment that comes to its turn when the service is held


async def held(home: House) -> None:
    await _served(home, "first", "ok")
    await Restraint(home.operations).hold(ADA, home.world, "cart")
    await _service(home, lambda one: one.holds != ())


def _late(service: Machine) -> UUID:
    return derived_id(service.id, "late")


async def begin_held(home: House) -> None:
    service = await home.service("cart")
    (there, *_) = await machines.list_deployments(home.db, home.world_id, service.id, 1)
    if there.id != _late(service):
        facts = replace(
            deployment_facts(there), requested_at=datetime.now(UTC), release_id=None, touched=False
        )
        made = birth(home.world_id, _late(service), facts, ADA.name, service_id=service.id, placement="here")
        await home.committer.store(births=(made,))


async def end_held(home: House) -> None:
    service = await home.service("cart")
    ended = await home.until(_late(service), "failed")
    assert ended.facts.reason is not None
    assert ended.facts.reason.code == "HELD"
    await home.until(service.id, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]


# -- a hold while a deployment works


async def left(home: House) -> None:
    await _served(home, "first", "ok")


async def begin_held_at_work(home: House) -> None:
    change = await home.deploy("second", cart="slow")
    while not (made := await home.deployments(change.id)):
        if (await home.get(change.id)).state in ("failed", "done"):
            return
        await asyncio.sleep(0.005)
    await home.until(made[0].id, "verifying", "cancelling", "cancelled")
    await Restraint(home.operations).hold(ADA, home.world, "cart")


async def end_held_at_work(home: House) -> None:
    change = await home.until((await home.deploy("second", cart="slow")).id, "cancelled")
    (deployment,) = await home.deployments(change.id)
    assert deployment.facts.reason is not None
    assert deployment.facts.reason.code == "HELD"
    service = await home.until((await home.service("cart")).id, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]


# -- copies


async def scalable(home: House) -> None:
    folder = Path(home.source(cart="ok"))
    put(
        folder / "deployd.yaml",
        "deployd: 1\nservice:\n  name: cart\n  run: ok\n  scale: {min: 1, max: 4}\n",
    )
    change = await home.operations.deploy(ADA, home.world, str(folder))
    await home.until(change.id, "done")
    await home.until((await home.service("cart")).id, "serving")


async def begin_scaled(home: House) -> None:
    service = await home.service("cart")
    post = Post(home.world_id, service.id, "scale", "person:ada", {"copies": 3})
    await home.committer.store(posts=(post,))


async def end_scaled(home: House) -> None:
    service = await home.service("cart")
    await _service(home, lambda one: one.running == 3 and one.health is Health.HEALTHY)
    assert len(home.running(service.id)) == 3


# -- an orphan that is adopted


async def orphaned(home: House) -> None:
    await provided(home)
    await begin_dropped(home)
    await end_dropped(home)


async def begin_adopted(home: House) -> None:
    infrastructure = Infrastructure(home.operations, home.context.driver)
    try:
        await infrastructure.adopt(ADA, home.world, "cart/db")
    except Conflict:
        facts = (await infrastructure.resource(ADA, home.world, "cart/db")).facts
        assert isinstance(facts, ResourceFacts)
        assert facts.standing


async def end_adopted(home: House) -> None:
    infrastructure = Infrastructure(home.operations, home.context.driver)
    async with asyncio.timeout(20):
        while True:
            found = await infrastructure.resource(ADA, home.world, "cart/db")
            assert isinstance(found.facts, ResourceFacts)
            if found.facts.health is Health.HEALTHY and not found.facts.suspended:
                break
            await asyncio.sleep(0.01)
    assert (found.facts.ownership, found.facts.standing) == (Ownership.MANAGED, True)
    assert home.running(found.id) == ["begun", "object"]
