"""History: transitions that are over, page by page, of a world, of a service, of one machine."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from deployd.errors import CursorExpired, InputError
from deployd.graphql import places
from deployd.graphql.connections import PAGE, AfterItem, Connection, FirstItems
from deployd.graphql.context import Context, Info
from deployd.graphql.fields import resolved
from deployd.graphql.problem import parse_id, take
from deployd.graphql.transitions import Transition, WorldName
from deployd.model.machine import Transition as Passed
from deployd.store import transitions
from deployd.store.reads import AsOf

__all__ = ["HistoryQuery", "Order"]


@strawberry.enum(description="In which order.")
class Order(Enum):
    """Of a history."""

    NEWEST_FIRST = strawberry.enum_value("newest_first", description="The last one comes first.")
    OLDEST_FIRST = strawberry.enum_value("oldest_first", description="The first that is kept comes first.")


@strawberry.type
class HistoryQuery:
    """Asking once."""

    @resolved(
        description="What moved in a world: all of it, or that of one service with its deployments, or of one"
        " machine. What is older than is kept has no page; a cursor from there gets CURSOR_EXPIRED"
        " where the oldest"
        " come first."
    )
    async def history(
        self,
        info: Info,
        world: WorldName,
        service: Annotated[
            str | None, strawberry.argument(description="Of the living service of this name alone.")
        ] = None,
        machine: Annotated[
            strawberry.ID | None, strawberry.argument(description="Of the machine with this id alone.")
        ] = None,
        order: Annotated[
            Order, strawberry.argument(description="Which end comes first.")
        ] = Order.NEWEST_FIRST,
        first: FirstItems = 50,
        after: AfterItem = None,
    ) -> Connection[Transition]:
        context, db = info.context, info.context.api.db
        place = await context.operations.world(context.actor, world)
        if service is not None and machine is not None:
            raise InputError("a service, and a machine", remedy="Ask for the history of one of them.")
        service_id: UUID | None = None
        if service is not None:
            service_id = (await context.operations.service(context.actor, world, service)).id
        start, oldest_first = places.step(after), order is Order.OLDEST_FIRST
        limit, machine_id = take(first, PAGE) + 1, None if machine is None else parse_id(machine)

        async def look() -> tuple[AsOf, transitions.Places]:
            (writes, horizon), places_ = await transitions.history(
                db,
                place.world_id,
                start,
                limit,
                service_id=service_id,
                machine_id=machine_id,
                oldest_first=oldest_first,
            )
            if oldest_first and start is not None and start[0] < horizon:
                raise CursorExpired(remedy="Begin anew without a cursor: with the oldest that is kept.")
            return (writes, horizon), places_

        memory = context.api.memory
        passed = await context.loaders.page(
            ("history", place.world_id, start, first, service_id, machine, order),
            [place.world_id],
            look,
            lambda places_, _: _read(context, place.world_id, places_),
        )
        return memory.shown.of(passed, lambda passed: _page(context, passed, first, after), first, after)


async def _read(context: Context, world_id: int, places_: transitions.Places) -> list[Passed]:
    """The transitions at these places, in their order; of those not seen before by one statement."""
    at = dict(transitions.numbers(places_))

    async def read(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Passed]:
        there = await transitions.numbered(context.api.db, world_id, [(seq, at[seq]) for _, seq in keys])
        return {(world_id, seq): one for seq, one in there.items()}

    keys = [(world_id, seq) for seq in at]
    found = await context.api.memory.transitions.read(keys, read)
    return [found[key] for key in keys if key in found]


def _page(context: Context, passed: list[Passed], first: int, after: str | None) -> Connection[Transition]:
    shown = context.api.memory.shown
    return Connection.of(
        passed, first, lambda one: shown.of(one, Transition.of), lambda one: (one.seq, one.at), after
    )
