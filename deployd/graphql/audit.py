"""The audit log: who asked for what, and what it came to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry

from deployd.graphql import connections
from deployd.graphql.connections import AfterItem, Connection
from deployd.graphql.context import Info
from deployd.graphql.fields import resolved
from deployd.graphql.problem import take
from deployd.graphql.scalars import Outcome
from deployd.model import audit
from deployd.model.world import SYSTEM

__all__ = ["AuditEntry", "AuditQuery"]

PAGE = 200
_LAST = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))


@strawberry.type(description="A request for a change, or a refusal.")
class AuditEntry:
    """The model's AuditEntry."""

    id: strawberry.ID = strawberry.field(description="Names it.")
    at: datetime = strawberry.field(description="When it came.")
    actor: str = strawberry.field(description="Who asked.")
    action: str = strawberry.field(description="The mutation; or the way by which somebody came.")
    world: str | None = strawberry.field(description="The world that it is about; null: none.")
    arguments: str | None = strawberry.field(
        description="As they were sent, as JSON; without secrets' values."
    )
    outcome: Outcome = strawberry.field(description="What it came to.")
    ended_at: datetime | None = strawberry.field(description="When it had come to that.")
    code: str | None = strawberry.field(description="Of the problem, where there was one.")
    message: str | None = strawberry.field(description="What was wrong, where something was.")

    @classmethod
    def of(cls, one: audit.AuditEntry, world: str | None) -> Self:
        """The entry; `world` is the name of its world."""
        return cls(
            id=strawberry.ID(str(one.id)),
            at=one.at,
            actor=one.actor,
            action=one.action,
            world=world,
            arguments=one.arguments,
            outcome=one.outcome,
            ended_at=one.ended_at,
            code=one.code,
            message=one.message,
        )


@strawberry.type
class AuditQuery:
    """Asking once."""

    @resolved(description="Requests for changes, and refusals, newest first. For operators.")
    async def audit(
        self,
        info: Info,
        world: Annotated[
            str | None,
            strawberry.argument(description="About this world alone; null: all that exist for you."),
        ] = None,
        actor: Annotated[str | None, strawberry.argument(description="By this actor alone.")] = None,
        first: Annotated[int, strawberry.argument(description=f"How many at most, 1 to {PAGE}.")] = 50,
        after: AfterItem = None,
    ) -> Connection[AuditEntry]:
        context = info.context
        before = _LAST if after is None else connections.decode(after, tuple[datetime, UUID])
        found = await context.api.access.read_audit(
            context.actor, before, take(first, PAGE) + 1, world=world, by=actor
        )
        there = await context.operations.worlds(context.actor)
        names = {one.world_id: one.name for one in there if one.name != SYSTEM}
        return Connection.of(
            found,
            first,
            lambda one: AuditEntry.of(one, names.get(one.world_id)),
            lambda one: (one.at, one.id),
            after,
        )
