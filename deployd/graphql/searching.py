"""Searching: from whatever one has in one's hand to what it is."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

import strawberry

from deployd.errors import InputError
from deployd.graphql.changes import Change
from deployd.graphql.context import Info
from deployd.graphql.deployments import Deployment
from deployd.graphql.fields import resolved
from deployd.graphql.problem import take
from deployd.graphql.releases import Release
from deployd.graphql.resources import Resource
from deployd.graphql.services import Service
from deployd.graphql.worlds import World
from deployd.model import release
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store import search

__all__ = ["Found", "Matched", "SearchHit", "SearchQuery"]

PAGE = 50
_LONGEST = 200


@strawberry.enum(description="By what something was found.")
class Matched(Enum):
    """As the store says it."""

    NAME = strawberry.enum_value("name", description="Its name has the text in it.")
    ID = strawberry.enum_value("id", description="Its id, or its beginning.")
    COMMIT = strawberry.enum_value("commit", description="The commit of its files, or its beginning.")
    ACTOR = strawberry.enum_value("actor", description="Who asked for it.")


Found: TypeAlias = Annotated[
    World | Service | Resource | Deployment | Change | Release,
    strawberry.union("Found", description="Something that was searched for."),
]


@strawberry.type(description="Something that was found.")
class SearchHit:
    """The store's Hit."""

    matched: Matched = strawberry.field(description="By what.")
    found: Found = strawberry.field(description="What it is.")


@strawberry.type
class SearchQuery:
    """Asking once."""

    @resolved(
        description="What is known by a name (or a part of it), by an id or a commit (or its first"
        " 4 characters or"
        " more), or by who asked for it (`person:ada`, or `ada`). The nearest first; of the same"
        " kind the newest."
    )
    async def search(
        self,
        info: Info,
        text: Annotated[str, strawberry.argument(description="What to look for.")],
        world: Annotated[
            str | None,
            strawberry.argument(description="Only in this world; null: in all that exist for you."),
        ] = None,
        first: Annotated[int, strawberry.argument(description=f"How many at most, 1 to {PAGE}.")] = 20,
    ) -> list[SearchHit]:
        context, sought = info.context, text.strip()
        limit = take(first, PAGE)
        if world is None:
            places = await context.operations.worlds(context.actor)
        else:
            places = [await context.operations.world(context.actor, world)]
        if not sought or len(sought) > _LONGEST or "\x00" in sought:
            raise InputError(
                "there is nothing to look for" if not sought else "the text is none that could be found",
                remedy=f"Search for 1 to {_LONGEST} characters.",
            )
        names = {one.world_id: one.name for one in places}
        there = [
            (0 if one.name == sought.lower() else 3, SearchHit(matched=Matched.NAME, found=World.of(one)))
            for one in places
            if sought.lower() in one.name
        ]
        hits = [
            *await search.machines(context.api.db, list(names), sought, limit),
            *await search.releases(context.api.db, list(names), sought, limit),
        ]
        seen: set[object] = set()
        for hit in hits:
            if hit.what.id not in seen:  # in the nearest way alone
                seen.add(hit.what.id)
                there.append((hit.rank, _hit(hit, names[hit.what.world_id])))
        return [hit for _, hit in sorted(there, key=lambda pair: pair[0])[:limit]]


def _hit(hit: search.Hit, world: str) -> SearchHit:
    return SearchHit(matched=Matched(hit.matched), found=_found(hit.what, world))


def _found(what: Machine | release.Release, world: str) -> Found:
    if isinstance(what, release.Release):
        return Release.of(what)
    if what.kind is MachineKind.SERVICE:
        return Service.of(what, world)
    if what.kind is MachineKind.RESOURCE:
        return Resource.of(what, world)
    return Deployment.of(what) if what.kind is MachineKind.DEPLOYMENT else Change.of(what)
