"""The connections to Postgres: some that everybody's statements share, and others of their own for a few.

Invariant: no connection is held across anything but a statement; every statement is its own transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import asyncpg

from deployd.errors import PostgresUnavailable, StoreError
from deployd.store.queries import QUERIES

__all__ = ["LOST", "Connections", "Database", "lost"]

# What a statement may raise when the server goes away or is not there yet.
LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a message
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # connections, memory, or room on its disk: it may have them again
)

_SETTINGS = {
    "application_name": "deployd",
    "jit": "off",
    # An old transaction of ours would keep vacuum from its work. asyncpg gives up first, where it still can.
    "statement_timeout": "65s",
    "idle_in_transaction_session_timeout": "60s",
}


_IDLE = 60.0
"""Seconds after which a connection that nobody needed is closed, by the next statement."""


@dataclass(frozen=True, slots=True)
class Connections:
    """How many there are for statements."""

    used: int
    idle: int
    most: int


class Database:
    """A Postgres with deployd's schema. Use as an async context manager, or `open` and `close`."""

    def __init__(self, dsn: str, *, size: int = 8) -> None:
        """`size`: how many statements may run at once."""
        self.dsn = dsn
        self._size = size
        self._turns = asyncio.Semaphore(size)
        self._used = 0
        self._idle: deque[tuple[float, asyncpg.Connection[asyncpg.Record]]] = deque()
        """When each was used last; the one of the last statement is the first to be used again."""
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> Self:
        """Connect. Raises PostgresUnavailable when nothing answers."""
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=0,
                max_size=self._size,
                command_timeout=60,
                max_inactive_connection_lifetime=_IDLE,
                server_settings=_SETTINGS,
            )
            self._idle.append((time.monotonic(), await self._connect()))
        except LOST as error:
            raise PostgresUnavailable(
                "Postgres does not answer",
                evidence=f"{type(error).__name__}: {error}",
                remedy="Check that it runs and that DEPLOYD_DATABASE_URL names it.",
            ) from error
        except asyncpg.PostgresError as error:
            raise PostgresUnavailable(
                f"Postgres refuses deployd: {error}", remedy="Check user, password and database."
            ) from error
        return self

    async def close(self) -> None:
        """End every connection; what still runs is cut off after two seconds."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(2):
                    while self._idle:
                        await self._idle.pop()[1].close()
                    await pool.close()
            except (TimeoutError, *LOST):
                while self._idle:
                    self._idle.pop()[1].terminate()
                pool.terminate()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """Others, for what is more than a statement; StoreError before `open` and after `close`."""
        if self._pool is None:
            raise StoreError("the database is not open")
        return self._pool

    @property
    def connections(self) -> Connections:
        """Those that `fetch` has."""
        return Connections(self._used, len(self._idle), self._size)

    async def fetch(self, query: str, *args: Any) -> Sequence[asyncpg.Record]:
        """The rows of a named query. Raises PostgresUnavailable when the server is lost."""
        # asyncpg's own pool has a task for each statement's end, which takes as long as the statement.
        async with self._turns:
            if self._pool is None:
                raise StoreError("the database is not open")
            self._used += 1
            try:
                return await self._run(self._living() or await self._connect(), query, args)
            except LOST as error:
                raise lost(error) from error
            finally:
                self._used -= 1

    def _living(self) -> asyncpg.Connection[asyncpg.Record] | None:
        while self._idle:
            connection = self._idle.pop()[1]
            if not connection.is_closed():
                return connection
        return None

    async def _run(
        self, connection: asyncpg.Connection[asyncpg.Record], query: str, args: Sequence[Any]
    ) -> Sequence[asyncpg.Record]:
        """Whoever is cancelled leaves a connection on which something may still run: it is not used again."""
        usable = False
        try:
            rows = await connection.fetch(QUERIES[query], *args)
            usable = True
            return rows
        except asyncpg.PostgresError:
            usable = not connection.is_closed()
            raise
        finally:
            if not usable or self._pool is None:
                connection.terminate()
            else:
                now = time.monotonic()
                self._idle.append((now, connection))
                if now - self._idle[0][0] > _IDLE:
                    self._idle.popleft()[1].terminate()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.dsn, timeout=10, command_timeout=60, server_settings=_SETTINGS)

    async def execute(self, query: str, *args: Any) -> None:
        """Run a named query for what it does."""
        await self.fetch(query, *args)

    async def connect(self, **settings: str) -> asyncpg.Connection[asyncpg.Record]:
        """A connection outside the pool, for the committer and the listener."""
        try:
            return await asyncpg.connect(
                self.dsn,
                timeout=10,
                command_timeout=60,
                server_settings={**_SETTINGS, **settings},
            )
        except LOST as error:
            raise lost(error) from error


def lost(error: BaseException) -> PostgresUnavailable:
    """The server went away, or has run out of something, told once."""
    if isinstance(error, asyncpg.InsufficientResourcesError):
        return PostgresUnavailable(
            "Postgres has run out of something",
            remedy="Give it what it says it lacks: room on its disk, connections, memory.",
            evidence=f"{type(error).__name__}: {error}",
        )
    return PostgresUnavailable("Postgres does not answer", evidence=f"{type(error).__name__}: {error}")
