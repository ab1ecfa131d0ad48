"""What goes on with one resource by itself while a deployd is killed; each may be begun twice."""

from __future__ import annotations

import asyncio
from uuid import UUID

from deployd.engine.birth import birth
from deployd.model.facts import ResourceFacts
from deployd.model.identifier import derived_id
from deployd.store.commit import Post
from tests.house import House


async def begin_resource(home: House) -> None:
    facts = ResourceFacts("db", "postgres", "infra", settings={"size": 1})
    made = birth(home.world_id, _resource(home), facts, "person:ada", name="db")
    await home.committer.store(births=(made,))


async def end_resource(home: House) -> None:
    await home.until(_resource(home), "ready")
    assert home.running(_resource(home)) == ["begun", "object"]


async def resource(home: House) -> None:
    await begin_resource(home)
    await end_resource(home)


async def begin_updated(home: House) -> None:
    machine = await home.get(_resource(home))
    assert isinstance(machine.facts, ResourceFacts)
    if machine.facts.settings != {"size": 2}:
        post = Post(home.world_id, machine.id, "update", "person:ada", {"settings": {"size": 2}})
        await home.committer.store(posts=(post,))


async def end_updated(home: House) -> None:
    async with asyncio.timeout(20):
        while True:
            machine = await home.until(_resource(home), "ready")
            assert isinstance(machine.facts, ResourceFacts)
            if machine.facts.settings == {"size": 2}:
                return
            await asyncio.sleep(0.005)


async def begin_deleted(home: House) -> None:
    await home.committer.store(posts=(Post(home.world_id, _resource(home), "delete", "person:ada"),))


async def end_deleted(home: House) -> None:
    await home.until(_resource(home), "deleted")
    assert home.running(_resource(home)) == []


def _resource(home: House) -> UUID:
    return derived_id(home.world_id, "resource", "db")
