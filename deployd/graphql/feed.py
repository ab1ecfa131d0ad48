"""Following a world: look until nothing new is left, then wait for a hint or a poll.

Invariant: a hint is only a reason to look earlier; what is told follows from the cursor alone, so
nothing is missed and nothing told twice, whether hints are lost, repeated or late. No connection is
held while waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from deployd.engine.bus import Bus
from deployd.errors import InputError, PostgresUnavailable
from deployd.graphql.context import Context
from deployd.graphql.cursor import Cursor
from deployd.model.world import World
from deployd.store.hints import Hint

__all__ = ["check_cursor", "follow", "hinted"]

_log = logging.getLogger(__name__)

BATCH = 500  # transitions at most in one event
POLL = 1.0  # seconds until it is looked again, hint or not
PATIENCE = 30.0  # seconds without a database before a subscription ends with that error

T = TypeVar("T")

Look = Callable[[], Awaitable[tuple[T | None, bool]]]
"""What is new, or None; and whether there may be more of it right now. It keeps the cursor."""
Wait = Callable[[], Awaitable[None]]


def check_cursor(cursor: Cursor, head: int) -> Cursor:
    """The cursor, if the world has come so far. Raises InputError: it would wait for what is long past."""
    if cursor.seq > head:
        raise InputError(
            f"the cursor is ahead of the world, which stands at {head}",
            remedy="Begin anew without a cursor: the database was restored from an older state.",
        )
    return cursor


@asynccontextmanager
async def hinted(bus: Bus, world_id: int) -> AsyncIterator[Wait]:
    """A wait that ends by a hint of this world since the last wait, or after the time of a poll."""
    news = asyncio.Event()

    def heard(hint: Hint) -> None:
        if hint.lost or world_id in hint.worlds:
            news.set()

    async def wait() -> None:
        try:
            async with asyncio.timeout(POLL):
                await news.wait()
        except TimeoutError:
            pass
        news.clear()

    stop = bus.listen(heard)
    try:
        yield wait
    finally:
        stop()


async def follow(
    context: Context, world: World, look: Look[T], *, waits: bool = True
) -> AsyncGenerator[T, None]:
    """What `look` finds, looking again at each hint of the world, for as long as the caller may.

    Unless it `waits`, it ends once there is nothing more right now. A database that is away for less than
    half a minute only delays it. Raises PostgresUnavailable after that, Unauthenticated and Forbidden when
    the permission ends.
    """
    may = context.watch_permission(world.name)
    clock = asyncio.get_running_loop().time
    answered = clock()
    async with hinted(context.api.bus, world.world_id) as wait:
        while True:
            try:
                await may()
                found, more = await look()
                answered = clock()
            except PostgresUnavailable as error:
                if clock() - answered > PATIENCE:
                    raise
                _log.debug("a subscription waits: %s", error)
                await asyncio.sleep(POLL)
                continue
            if found is not None:
                yield found
            if not more:
                if not waits:
                    return
                await wait()
