"""Worlds and what they can do."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from deployd.graphql.context import Info
from deployd.graphql.cursor import Cursor
from deployd.graphql.fields import resolved
from deployd.graphql.problem import or_none
from deployd.graphql.scalars import CursorText
from deployd.graphql.services import Service, ServiceName
from deployd.graphql.transitions import WorldName
from deployd.model import world as words
from deployd.model.state import MachineKind
from deployd.store import machines

__all__ = ["Capability", "World", "WorldQuery"]


@strawberry.type(description="Something that a world can do. Its configuration is the operator's own.")
class Capability:
    """The model's Capability, under its name, without its configuration."""

    name: str = strawberry.field(description="As services choose it; `main` by default.")
    driver: str = strawberry.field(description="The driver behind it.")
    approval: bool = strawberry.field(description="Whether deployments through it wait for an approval.")


@strawberry.type(description="A named place that services run in.")
class World:
    """The model's World."""

    model: strawberry.Private[words.World]
    name: str = strawberry.field(description="Its name.")
    ephemeral: bool = strawberry.field(description="Whether its data may go with it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    capabilities: list[Capability] = strawberry.field(description="What it can do.")

    @classmethod
    def of(cls, one: words.World) -> Self:
        """The world as it is stored."""
        return cls(
            model=one,
            name=one.name,
            ephemeral=one.ephemeral,
            created_at=one.created_at,
            capabilities=[
                Capability(name=name, driver=each.driver, approval=each.approval)
                for name, each in one.capabilities.items()
            ],
        )

    @resolved(description="Its living services, by name.")
    async def services(self, info: Info) -> list[Service]:
        found = await info.context.loaders.services.load(self.model.world_id)
        return [Service.of(one, self.model.name) for one in found]

    @resolved(description="Its living service of this name.")
    async def service(self, info: Info, name: ServiceName) -> Service | None:
        db = info.context.api.db
        found = await machines.get_named(db, self.model.world_id, MachineKind.SERVICE, name)
        return None if found is None else Service.of(found, self.model.name)

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
