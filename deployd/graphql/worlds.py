"""Worlds and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

import strawberry

from deployd.catalog import offered
from deployd.graphql import deployments as lists
from deployd.graphql import places, releases
from deployd.graphql.answers import Answer
from deployd.graphql.capabilities import Capability, Gate, capabilities_of, gates_of
from deployd.graphql.changes import Change
from deployd.graphql.connections import PAGE, AfterItem, Connection, FirstItems, rows
from deployd.graphql.context import Context, Info
from deployd.graphql.cursor import Cursor
from deployd.graphql.deployments import Deployment
from deployd.graphql.fields import Wanted, resolved
from deployd.graphql.lasting import Lasting, Place
from deployd.graphql.problem import or_none, take
from deployd.graphql.releases import Release
from deployd.graphql.resources import Resource
from deployd.graphql.scalars import ChangeState, CursorText, DeploymentState, Long
from deployd.graphql.services import Service, ServiceName
from deployd.graphql.slugs import Slug
from deployd.graphql.transitions import WorldName
from deployd.model import world as words
from deployd.model.machine import Machine
from deployd.model.state import Health, MachineKind
from deployd.store import machines, reads
from deployd.store.pages import Which

__all__ = ["Tally", "World", "WorldQuery"]

N = TypeVar("N")


@strawberry.type(description="How many there are of what is in one state, and does equally well.")
class Tally(Lasting):
    """The store's Tally."""

    kind: MachineKind = strawberry.field(description="Services, or resources.")
    state: str = strawberry.field(
        description="A value of `ServiceState` or of `ResourceState`, in lower case."
    )
    health: Health = strawberry.field(description="How they do.")
    count: int = strawberry.field(description="How many they are.")

    @classmethod
    def all_of(cls, found: Sequence[reads.Tally]) -> list[Self]:
        """As they were counted."""
        return [cls(kind=one.kind, state=one.state, health=one.health, count=one.count) for one in found]


async def _tallies(context: Context, worlds: Sequence[World], wanted: Wanted = None) -> list[list[Tally]]:
    """Of each."""
    keys = [one.model.world_id for one in worlds]
    found = await context.loaders.tallies.load_many(keys, at_once=wanted is not None)
    shown = context.api.memory.shown
    return [[] if each is None else shown.of(each, Tally.all_of) for each in found]


async def _services(
    context: Context,
    worlds: Sequence[World],
    wanted: Wanted = None,
    first: int = 50,
    after: str | None = None,
) -> list[Connection[Service]]:
    """A page of those of each, by name."""
    return await _named(context, worlds, MachineKind.SERVICE, Service.of, wanted, first, after)


async def _resources(
    context: Context,
    worlds: Sequence[World],
    wanted: Wanted = None,
    first: int = 50,
    after: str | None = None,
) -> list[Connection[Resource]]:
    """A page of those of each, by name."""
    return await _named(context, worlds, MachineKind.RESOURCE, Resource.of, wanted, first, after)


async def _named(
    context: Context,
    worlds: Sequence[World],
    kind: MachineKind,
    of: Callable[[Machine, str], N],
    wanted: Wanted,
    first: int,
    after: str | None,
) -> list[Connection[N]]:
    way, shown = (kind, places.name(after), rows(first, wanted)), context.api.memory.shown
    found = await context.loaders.named.load_many(
        [(one.model.world_id, way) for one in worlds], at_once=wanted is not None
    )

    def page(there: list[Machine], world: str) -> Connection[N]:
        def node(one: Machine) -> N:
            return shown.of(one, lambda one: of(one, world))

        return shown.of(there, lambda there: Connection.of(there, first, node, _name, after), first, after)

    return [page(there, one.name) for there, one in zip(found, worlds, strict=True)]


@strawberry.type(description="A named place that services run in.")
class World(Lasting, Place, Answer):
    """The model's World."""

    model: strawberry.Private[words.World]
    name: str = strawberry.field(description="Its name.")
    ephemeral: bool = strawberry.field(description="Whether its data may go with it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    retired_at: datetime | None = strawberry.field(description="When it ended, if it has.")
    version: Long = strawberry.field(
        description="Another one whenever somebody changed it: `expectedVersion` of `updateWorld`."
    )
    capabilities: list[Capability] = strawberry.field(description="What it can do.")
    gates: list[Gate] = strawberry.field(description="Who may come in: rules that routes name.")

    @classmethod
    def of(cls, one: words.World) -> Self:
        """The world as it is stored."""
        return cls(
            model=one,
            name=one.name,
            ephemeral=one.ephemeral,
            created_at=one.created_at,
            retired_at=one.retired_at,
            version=Long(one.version),
            gates=gates_of(one),
            capabilities=capabilities_of(one),
        )

    @property
    def place(self) -> tuple[int, str]:
        return self.model.world_id, self.name

    def keep(self) -> object:
        """Its name: it may have another one's by now, and then that one is meant."""
        return self.name

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """The world of that name."""
        return cls.of(await context.operations.world(context.actor, kept))

    @resolved(
        description="How many living services and resources it has, by state and health.",
        many=_tallies,
        settled=True,
    )
    async def tallies(self, info: Info) -> list[Tally]:
        return (await _tallies(info.context, [self]))[0]

    @resolved(description="Its living services, by name.", many=_services, settled=True)
    async def services(
        self, info: Info, first: FirstItems = 50, after: AfterItem = None
    ) -> Connection[Service]:
        return (await _services(info.context, [self], None, first, after))[0]

    @resolved(description="Its living service of this name.")
    async def service(self, info: Info, name: ServiceName) -> Service | None:
        db = info.context.api.db
        found = await machines.get_named(db, self.model.world_id, MachineKind.SERVICE, name)
        return None if found is None else Service.of(found, self.model.name)

    @resolved(description="Its living resources, by name.", many=_resources, settled=True)
    async def resources(
        self, info: Info, first: FirstItems = 50, after: AfterItem = None
    ) -> Connection[Resource]:
        return (await _resources(info.context, [self], None, first, after))[0]

    @resolved(description="What was asked for in it, newest first.", settled=True)
    async def changes(
        self,
        info: Info,
        state: Annotated[
            ChangeState | None, strawberry.argument(description="Only those in this state.")
        ] = None,
        service: Annotated[
            str | None, strawberry.argument(description="Only those about the service of this name.")
        ] = None,
        actor: Annotated[str | None, strawberry.argument(description="Only those by this actor.")] = None,
        first: FirstItems = 20,
        after: AfterItem = None,
    ) -> Connection[Change]:
        which = Which(MachineKind.CHANGE, None if state is None else state.value, actor, service)
        found = await self._newest(info, which, first, after)
        return Connection.of(found, first, Change.of, _moment, after)

    @resolved(description="The deployments of all its services, newest first.", settled=True)
    async def deployments(
        self,
        info: Info,
        state: Annotated[
            DeploymentState | None, strawberry.argument(description="Only those in this state.")
        ] = None,
        actor: Annotated[str | None, strawberry.argument(description="Only those by this actor.")] = None,
        first: FirstItems = 20,
        after: AfterItem = None,
    ) -> Connection[Deployment]:
        which = Which(MachineKind.DEPLOYMENT, None if state is None else state.value, actor)
        return lists.page(info.context, await self._newest(info, which, first, after), first, after)

    @resolved(description="The releases of all its services, newest first.")
    async def releases(
        self, info: Info, first: FirstItems = 20, after: AfterItem = None
    ) -> Connection[Release]:
        way = places.moment(after), take(first, PAGE) + 1
        found = await info.context.loaders.world_releases.load((self.model.world_id, way))
        return releases.of_world(found, first, after)

    @resolved(description="What can be asked for in it, by slug.")
    def slugs(self) -> list[Slug]:
        found = offered(self.model.capabilities)
        return [Slug.of(found[slug]) for slug in sorted(found)]

    @resolved(description="The present end of its transitions: read on from here for what comes.")
    async def cursor(self, info: Info) -> CursorText:
        seq, at = await info.context.loaders.heads.load(self.model.world_id) or (0, self.model.created_at)
        return CursorText(Cursor(self.model.world_id, seq, at).encode())

    async def _newest(self, info: Info, which: Which, first: int, after: str | None) -> list[Machine]:
        way = which, places.moment(after), take(first, PAGE) + 1
        return await info.context.loaders.newest.load((self.model.world_id, way))


def _name(one: Machine) -> tuple[str | None]:
    return (one.name,)


def _moment(one: Machine) -> tuple[datetime, UUID]:
    return one.created_at, one.id


@strawberry.type
class WorldQuery:
    """Asking once."""

    @resolved(description="All worlds, by name.")
    async def worlds(self, info: Info) -> list[World]:
        context = info.context
        return [World.of(one) for one in await context.operations.worlds(context.actor)]

    @resolved(description="The world of this name.")
    async def world(self, info: Info, name: WorldName) -> World | None:
        context = info.context
        found = await or_none(context.operations.world(context.actor, name))
        return None if found is None else context.api.memory.shown.of(found, World.of)
