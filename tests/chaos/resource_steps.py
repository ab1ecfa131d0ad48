"""What is begun, and how it must end, where services have resources; each may be begun twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from deployd.engine.worlds import Worlds
from deployd.model.facts import ResourceFacts
from deployd.model.machine import Machine
from deployd.model.state import Health, MachineKind, Ownership
from deployd.store import machines, worlds
from tests.house import ADA, House, put

__all__ = [
    "begin_dropped",
    "begin_ended",
    "begin_provided",
    "begin_rested",
    "begin_resumed",
    "end_dropped",
    "end_ended",
    "end_provided",
    "end_rested",
    "end_resumed",
    "provided",
    "rested",
]

_NAME = "cart/db"


async def _deploy(home: House, key: str, more: str) -> Machine:
    folder = home.home / key
    folder.mkdir(exist_ok=True)
    put(folder / "deployd.yaml", f"deployd: 1\nservices:\n  cart:\n    run: ok\n{more}")
    return await home.operations.deploy(ADA, home.world, str(folder), key=key)


async def _resource(home: House, true: Callable[[ResourceFacts], bool]) -> Machine:
    """The resource, once it is so."""
    async with asyncio.timeout(20):
        while True:
            found = await machines.get_named(home.db, home.world_id, MachineKind.RESOURCE, _NAME)
            if found is not None:
                assert isinstance(found.facts, ResourceFacts)
                if true(found.facts):
                    return found
            await asyncio.sleep(0.01)


# -- a deployment that makes what it needs


async def begin_provided(home: House) -> None:
    await _deploy(home, "needing", "    resources: {db: postgres}\n")


async def end_provided(home: House) -> None:
    change = await _deploy(home, "needing", "    resources: {db: postgres}\n")
    await home.until(change.id, "done")
    service = await home.service("cart")
    await home.until(service.id, "serving")
    found = await _resource(home, lambda facts: facts.health is Health.HEALTHY)
    assert isinstance(found.facts, ResourceFacts)
    assert (found.state, found.facts.users) == ("ready", (service.id,))
    assert home.running(found.id) == ["begun", "object"]
    assert await home.context.vault.outputs(home.world_id, found.id) == {"url": "x://y"}


async def provided(home: House) -> None:
    await begin_provided(home)
    await end_provided(home)


# -- one that needs it no more


async def begin_dropped(home: House) -> None:
    await _deploy(home, "frugal", "")


async def end_dropped(home: House) -> None:
    await home.until((await _deploy(home, "frugal", "")).id, "done")
    await home.until((await home.service("cart")).id, "serving")
    found = await _resource(home, lambda facts: facts.suspended)
    assert isinstance(found.facts, ResourceFacts)
    assert (found.facts.ownership, found.facts.users) == (Ownership.ORPHANED, ())
    assert "object" in home.running(found.id)


# -- nobody who has it runs, and then somebody does


async def begin_rested(home: House) -> None:
    await home.operations.suspend(ADA, home.world, "cart")


async def end_rested(home: House) -> None:
    await home.until((await home.service("cart")).id, "suspended")
    found = await _resource(home, lambda facts: facts.suspended)
    assert home.running(found.id) == ["asleep", "begun", "object"]


async def rested(home: House) -> None:
    await provided(home)
    await begin_rested(home)
    await end_rested(home)


async def begin_resumed(home: House) -> None:
    await home.operations.resume(ADA, home.world, "cart")


async def end_resumed(home: House) -> None:
    found = await _resource(home, lambda facts: facts.health is Health.HEALTHY and not facts.suspended)
    assert home.running(found.id) == ["begun", "object"]
    service = await home.service("cart")
    async with asyncio.timeout(20):
        while (await home.facts("cart")).health is not Health.HEALTHY or not home.running(service.id):
            await asyncio.sleep(0.01)


# -- the end of an ephemeral world


async def begin_ended(home: House) -> None:
    await Worlds(home.operations, home.context.driver).retire(ADA, home.world)


async def end_ended(home: House) -> None:
    change = await Worlds(home.operations, home.context.driver).retire(ADA, home.world)
    await home.until(change.id, "done")
    for kind in (MachineKind.SERVICE, MachineKind.RESOURCE):
        assert await machines.list_kind(home.db, home.world_id, kind) == []
    world = await worlds.get(home.db, home.world)
    assert world is not None
    assert world.retired_at is not None
    assert not [path for path in home.folder.root.iterdir() if path.is_dir() and any(path.iterdir())]
