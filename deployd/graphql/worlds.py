"""Worlds and what they can do."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self, TypeAlias

import strawberry

from deployd.errors import InputError, NotFound
from deployd.graphql.answers import Answer
from deployd.graphql.changes import Change, DeployResult
from deployd.graphql.context import Context, Info
from deployd.graphql.cursor import Cursor
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.problem import Problem, attempt, or_none
from deployd.graphql.resources import Resource
from deployd.graphql.scalars import CursorText
from deployd.graphql.services import Service, ServiceName
from deployd.graphql.transitions import WorldName
from deployd.model import world as words
from deployd.model.state import MachineKind
from deployd.store import machines

__all__ = ["Capability", "Gate", "World", "WorldMutation", "WorldQuery", "WorldResult"]


@strawberry.type(description="Something that a world can do. Its configuration is the operator's own.")
class Capability:
    """The model's Capability, under its name, without its configuration."""

    name: str = strawberry.field(description="As services choose it; `main` by default.")
    driver: str = strawberry.field(description="The driver behind it.")
    approval: bool = strawberry.field(description="Whether deployments through it wait for an approval.")


@strawberry.type(description="Named firewall rules. What a gate does not allow is refused.")
class Gate:
    """The model's Gate, under its name."""

    name: str = strawberry.field(description="As routes name it.")
    allow: list[str] = strawberry.field(description="Networks that may come in, in CIDR notation.")
    ports: list[int] = strawberry.field(description="Ports of the entrypoint; none: all that it has.")


@strawberry.type(description="A named place that services run in.")
class World(Answer):
    """The model's World."""

    model: strawberry.Private[words.World]
    name: str = strawberry.field(description="Its name.")
    ephemeral: bool = strawberry.field(description="Whether its data may go with it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    retired_at: datetime | None = strawberry.field(description="When it ended, if it has.")
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
            gates=[
                Gate(name=name, allow=list(gate.allow), ports=list(gate.ports))
                for name, gate in one.gates.items()
            ],
            capabilities=[
                Capability(name=name, driver=each.driver, approval=each.approval)
                for name, each in one.capabilities.items()
            ],
        )

    def keep(self) -> object:
        """Its name: it may have another one's by now, and then that one is meant."""
        return self.name

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """The world of that name."""
        return cls.of(await context.operations.world(context.actor, kept))

    @resolved(description="Its living services, by name.")
    async def services(self, info: Info) -> list[Service]:
        found = await info.context.loaders.services.load(self.model.world_id)
        return [Service.of(one, self.model.name) for one in found]

    @resolved(description="Its living service of this name.")
    async def service(self, info: Info, name: ServiceName) -> Service | None:
        db = info.context.api.db
        found = await machines.get_named(db, self.model.world_id, MachineKind.SERVICE, name)
        return None if found is None else Service.of(found, self.model.name)

    @resolved(description="Its living resources, by name.")
    async def resources(self, info: Info) -> list[Resource]:
        found = await info.context.loaders.resources.load(self.model.world_id)
        return [Resource.of(one, self.model.name) for one in found]

    @resolved(description="The present end of its transitions: read on from here for what comes.")
    async def cursor(self, info: Info) -> CursorText:
        seq, at = await info.context.loaders.heads.load(self.model.world_id) or (0, self.model.created_at)
        return CursorText(Cursor(self.model.world_id, seq, at).encode())


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
        return None if found is None else World.of(found)


@strawberry.input(description="Named firewall rules.")
class GateInput:
    """One gate of `setGates`."""

    name: str = strawberry.field(description="As routes will name it.")
    allow: list[str] = strawberry.field(description="Networks that may come in, such as 203.0.113.0/24.")
    ports: list[int] = strawberry.field(
        default_factory=list, description="Ports of the entrypoint; none: all that it has."
    )


WorldResult: TypeAlias = Annotated[
    World | Problem, strawberry.union("WorldResult", description="The world, or why it was refused.")
]


@strawberry.type
class WorldMutation:
    """Making, changing and ending worlds."""

    @mutation(description="Make a world that can do what another one can.")
    async def create_world(
        self,
        info: Info,
        name: WorldName,
        like: Annotated[
            str, strawberry.argument(description="The world whose capabilities it gets.")
        ] = "local",
        ephemeral: Annotated[
            bool, strawberry.argument(description="Whether its data goes with it when it is retired.")
        ] = False,
    ) -> WorldResult:
        context = info.context

        async def ask() -> World:
            made = await context.api.worlds.create(context.actor, name, like, ephemeral=ephemeral)
            return World.of(made)

        async def where(error: InputError) -> list[str]:
            return ["like"] if isinstance(error, NotFound) else ["name"]

        return await attempt(ask(), where)

    @mutation(description="The world's gates are these from now on.")
    async def set_gates(
        self,
        info: Info,
        world: WorldName,
        gates: Annotated[list[GateInput], strawberry.argument(description="All of them.")],
    ) -> WorldResult:
        context = info.context
        wanted = {one.name: words.Gate(tuple(one.allow), tuple(one.ports)) for one in gates}

        async def ask() -> World:
            return World.of(await context.api.worlds.set_gates(context.actor, world, wanted))

        async def where(error: InputError) -> list[str]:
            return ["world"] if isinstance(error, NotFound) else ["gates"]

        return await attempt(ask(), where)

    @mutation(description="End a world: its services, and if it is ephemeral its resources with their data.")
    async def retire_world(self, info: Info, world: WorldName) -> DeployResult:
        context = info.context

        async def ask() -> Change:
            return Change.of(await context.api.worlds.retire(context.actor, world))

        async def where(_: InputError) -> list[str]:
            return ["world"]

        return await attempt(ask(), where)
