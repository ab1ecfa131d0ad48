"""Following what moves: transitions of a world behind a cursor, and one deployment until it has ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Self, TypeAlias

import strawberry

from deployd import errors
from deployd.errors import NotFound
from deployd.graphql.context import Context, Info
from deployd.graphql.cursor import Cursor
from deployd.graphql.deployments import Deployment, DeploymentEvent, DeploymentId, is_final
from deployd.graphql.feed import BATCH, check_cursor, follow
from deployd.graphql.fields import resolved, subscription
from deployd.graphql.leg import Leg
from deployd.graphql.problem import parse_id, take
from deployd.graphql.scalars import CursorText
from deployd.graphql.transitions import After, Transition, TransitionBatch, WorldName
from deployd.graphql.worlds import World
from deployd.model import machine as model
from deployd.model import world as words
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store import machines, transitions, worlds
from deployd.store.database import Database

__all__ = [
    "CursorExpired",
    "DeploymentSubscription",
    "DeploymentUpdate",
    "TransitionQuery",
    "TransitionSubscription",
    "Transitions",
]

PAGE = 1000  # transitions at most in one answer


@strawberry.type(
    description="What comes behind the cursor is not kept any more: look at the world as it is now,"
    " and go on from"
    " the new cursor. Nothing that moves after it is missed."
)
class CursorExpired:
    """The error of the same name, as an answer."""

    code: str = strawberry.field(description="CURSOR_EXPIRED.")
    message: str = strawberry.field(description="What is wrong, in one sentence.")
    remedy: str = strawberry.field(description="What to do about it, in the imperative.")
    world: World = strawberry.field(description="As it is now: not older than the cursor.")
    cursor: CursorText = strawberry.field(description="The world's present one: send it to read on.")

    @classmethod
    def of(cls, world: words.World, cursor: Cursor) -> Self:
        """`cursor` was read before anything of the world is."""
        error = errors.CursorExpired(
            remedy="Look at the world as it is now, and go on from the cursor that came with this."
        )
        return cls(
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            world=World.of(world),
            cursor=CursorText(cursor.encode()),
        )


Transitions: TypeAlias = Annotated[
    TransitionBatch | CursorExpired,
    strawberry.union("Transitions", description="What moved, or that it is not kept any more."),
]
DeploymentUpdate: TypeAlias = Annotated[
    DeploymentEvent | CursorExpired,
    strawberry.union("DeploymentUpdate", description="How a deployment stands, or that steps are not kept."),
]


async def _expired(context: Context, place: words.World) -> tuple[CursorExpired, Cursor]:
    """The world anew, and the cursor from which nothing is missed: the cursor is read first."""
    seq, at = await worlds.head(context.api.db, place.world_id)
    cursor = Cursor(place.world_id, seq, at)
    return CursorExpired.of(await context.operations.world(context.actor, place.name), cursor), cursor


@strawberry.type
class TransitionQuery:
    """Asking once."""

    @resolved(
        description="What moved in a world behind a cursor; without one from the beginning of what is kept."
    )
    async def transitions(
        self,
        info: Info,
        world: WorldName,
        after: After = None,
        first: Annotated[int, strawberry.argument(description=f"How many at most, 1 to {PAGE}.")] = 100,
    ) -> Transitions:
        context = info.context
        place = await context.operations.world(context.actor, world)
        cursor = Cursor(place.world_id) if after is None else Cursor.decode(after, place.world_id)
        page = await transitions.read_page(
            context.api.db, place.world_id, cursor.seq, cursor.at, take(first, PAGE)
        )
        if after is not None and cursor.seq < page.horizon:
            return (await _expired(context, place))[0]
        found = page.transitions
        return TransitionBatch.of(found, Cursor.behind(found[-1]) if found else cursor)


@strawberry.type
class TransitionSubscription:
    """Being told."""

    @subscription(
        description="What moves in a world, each transition once and in order. Without a cursor: an empty"
        " batch with the present one first, then whatever comes. A cursor of which that is not kept"
        " any more gets"
        " CursorExpired, and then whatever comes behind the cursor in that."
    )
    async def transitions(
        self, info: Info, world: WorldName, after: After = None
    ) -> AsyncGenerator[Transitions, None]:
        context = info.context
        db, leg = context.api.db, context.leg or Leg()
        place = await context.operations.world(context.actor, world)
        if leg.start is not None:
            cursor = leg.start
        else:
            seq, at = await worlds.head(db, place.world_id)
            if after is None:
                cursor = leg.position = Cursor(place.world_id, seq, at)
                yield TransitionBatch.of((), cursor)
            else:
                cursor = check_cursor(Cursor.decode(after, place.world_id), seq)

        async def look() -> tuple[TransitionBatch | CursorExpired | None, bool]:
            nonlocal cursor
            if not (room := leg.room(cursor, BATCH)):
                return None, False
            page = await transitions.read_page(db, place.world_id, cursor.seq, cursor.at, room)
            if cursor.seq < page.horizon:  # from the start, or since it reads so slowly
                expired, cursor = await _expired(context, place)
                return expired, True
            found = page.transitions
            more = leg.read(len(found), room)
            if not found:
                return None, False
            cursor = Cursor.behind(found[-1])
            return TransitionBatch.of(found, cursor), more

        batches: AsyncGenerator[TransitionBatch | CursorExpired, None] = follow(
            context, place, look, waits=leg.until is None
        )
        async with aclosing(batches):
            async for batch in batches:
                leg.position = cursor
                yield batch
        leg.position, leg.caught_up = cursor, True


@strawberry.type
class DeploymentSubscription:
    """Being told."""

    @subscription(
        description="One deployment until it has ended. The first event comes at once, with its transitions"
        " behind the cursor (without one: all that are kept); the last one has it finished. A"
        " cursor of which steps"
        " may not be kept any more gets CursorExpired before that."
    )
    async def deployment(
        self,
        info: Info,
        id: DeploymentId,  # noqa: A002
        after: After = None,
    ) -> AsyncGenerator[DeploymentUpdate, None]:
        context = info.context
        db = context.api.db
        world, machine = await context.operations.located(context.actor, parse_id(id))
        if machine.kind is not MachineKind.DEPLOYMENT:
            raise NotFound(f"{id} is a {machine.kind}, no deployment")
        head, _ = await worlds.head(db, machine.world_id)
        start = Cursor(machine.world_id)
        if after is not None:
            start = check_cursor(Cursor.decode(after, machine.world_id), head)
            if start.seq < await worlds.horizon(db, machine.world_id):
                expired, start = await _expired(context, world)
                yield expired
        progress = _Progress(db, machine, start)
        async with aclosing(follow(context, world, progress.look)) as events:
            async for event in events:
                yield event
                if event.deployment.finished:
                    return


class _Progress:
    """Looks at one deployment, again and again."""

    def __init__(self, db: Database, machine: Machine, cursor: Cursor) -> None:
        self._db, self._machine, self._cursor = db, machine, cursor
        self._looked = False

    async def look(self) -> tuple[DeploymentEvent | None, bool]:
        """The next event; None while nothing moved, except the first time."""
        found = await self._rest(self._cursor)
        if self._looked and not found:
            return None, False
        now = await machines.get(self._db, self._machine.world_id, self._machine.id) or self._machine
        if is_final(now):
            # It may have ended between the two reads; what ended it was committed together with that.
            found += await self._rest(Cursor.behind(found[-1]) if found else self._cursor)
        self._looked = True
        self._cursor = Cursor.behind(found[-1]) if found else self._cursor
        return DeploymentEvent(
            deployment=Deployment.of(now),
            transitions=[Transition.of(one) for one in found],
            cursor=CursorText(self._cursor.encode()),
        ), False

    async def _rest(self, cursor: Cursor) -> list[model.Transition]:
        found: list[model.Transition] = []
        while True:
            more = await transitions.read_of(
                self._db, self._machine.world_id, self._machine.id, cursor.seq, cursor.at, BATCH
            )
            found += more
            if len(more) < BATCH:
                return found
            cursor = Cursor.behind(more[-1])
