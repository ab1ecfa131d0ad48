"""Releases: what a deployment makes a service serve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry

from deployd.graphql.connections import Connection
from deployd.graphql.context import Context, Info
from deployd.graphql.fields import resolved
from deployd.graphql.lasting import Lasting
from deployd.graphql.problem import parse_id
from deployd.manifest.written import written
from deployd.model import release
from deployd.model.reference import Reference, ReferenceKind, parts
from deployd.model.spec import RouteSpec
from deployd.store import search
from deployd.store.reads import Key

__all__ = ["Release", "ReleaseQuery", "Route", "load_release", "load_releases", "of_service", "of_world"]


@strawberry.type(description="A way by which requests from outside reach a service.")
class Route:
    """The model's RouteSpec."""

    host: str = strawberry.field(description="The host's name that requests ask for.")
    path: str = strawberry.field(description="The beginning of the paths that it takes.")
    entrypoint: str = strawberry.field(description="The world's capability that routes it.")
    gate: str | None = strawberry.field(description="The world's gate that callers have to pass.")

    @classmethod
    def of(cls, one: RouteSpec) -> Self:
        """As the manifest has it."""
        return cls(host=one.host, path=one.path, entrypoint=one.entrypoint, gate=one.gate)


@strawberry.type(description="What a deployment makes a service serve. It never changes.")
class Release(Lasting):
    """The model's Release."""

    model: strawberry.Private[release.Release]
    id: strawberry.ID = strawberry.field(description="Names it when a service shall go back to it.")
    number: int = strawberry.field(description="Counts within its service, from 1.")
    service: str = strawberry.field(description="Its service's name.")
    service_id: strawberry.ID = strawberry.field(description="Its service's id.")
    tree: str | None = strawberry.field(description="The git tree id of its files.")
    commit: str | None = strawberry.field(description="The commit of its files, where they are from git.")
    repository: str | None = strawberry.field(description="The git repository of its files.")
    ref: str | None = strawberry.field(description="The branch, tag or commit that was asked for.")
    image: str | None = strawberry.field(description="The image that it runs, where it runs one.")
    routes: list[Route] = strawberry.field(description="Its ways in from outside.")
    fingerprint: str = strawberry.field(
        description="Of everything that it is made of: two releases with the same one do the same."
        " Empty where"
        " it is from before there were any."
    )
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def of(cls, one: release.Release) -> Self:
        """The release as it was stored."""
        return cls(
            model=one,
            id=strawberry.ID(str(one.id)),
            number=one.number,
            service=one.spec.name,
            service_id=strawberry.ID(str(one.service_id)),
            tree=one.source.tree,
            commit=one.source.commit,
            repository=one.source.repository,
            ref=one.source.ref,
            image=one.spec.image,
            routes=[Route.of(each) for each in one.spec.routes],
            fingerprint=one.fingerprint,
            created_at=one.created_at,
        )

    @resolved(
        description="Its resolved manifest: a whole deployd.yaml with this service alone, as it was"
        " in its world."
    )
    def manifest(self) -> str:
        return written(self.model.spec)

    @resolved(description="The names of the secrets that it refers to.")
    def secrets(self) -> list[str]:
        found = (part for value in self.model.spec.env.values() for part in parts(value))
        return sorted(
            {one.name for one in found if isinstance(one, Reference) and one.kind is ReferenceKind.SECRETS}
        )


async def load_release(context: Context, world_id: int, release_id: UUID | None) -> Release | None:
    """The release of this id, read together with others that are asked for now."""
    return (await load_releases(context, [None if release_id is None else (world_id, release_id)]))[0]


async def load_releases(
    context: Context, keys: Sequence[Key | None], *, at_once: bool = False
) -> list[Release | None]:
    """The releases of these ids, read together with others that are asked for now; or `at_once`."""
    there_are = [one for one in keys if one is not None]
    found = iter(await context.loaders.releases.load_many(there_are, at_once=at_once))
    there = (None if one is None else next(found) for one in keys)
    shown = context.api.memory.shown
    return [None if one is None else shown.of(one, Release.of) for one in there]


def of_service(found: list[release.Release], first: int, after: str | None) -> Connection[Release]:
    """A page of a service's releases."""
    return Connection.of(found, first, Release.of, lambda one: (one.number,), after)


def of_world(found: list[release.Release], first: int, after: str | None) -> Connection[Release]:
    """A page of a world's releases."""
    return Connection.of(found, first, Release.of, lambda one: (one.created_at, one.id), after)


@strawberry.type
class ReleaseQuery:
    """Asking once."""

    @resolved(description="The release with this id.")
    async def release(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The release's id.")],  # noqa: A002
    ) -> Release | None:
        context = info.context
        places = [one.world_id for one in await context.operations.worlds(context.actor)]
        found = await search.release(context.api.db, places, parse_id(id))
        return None if found is None else Release.of(found)
