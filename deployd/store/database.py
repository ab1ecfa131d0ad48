"""The connections to Postgres: a pool for whoever reads, and one of its own for the committer.

Invariant: no connection is held across anything but a statement; every statement is its own transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import asyncpg

from deployd.errors import PostgresUnavailable, StoreError
from deployd.store.queries import QUERIES

__all__ = ["LOST", "Database", "lost"]

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


class Database:
    """A Postgres with deployd's schema. Use as an async context manager, or `open` and `close`."""

    def __init__(self, dsn: str, *, size: int = 8) -> None:
        self.dsn = dsn
        self._size = size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> Self:
        """Connect. Raises PostgresUnavailable when nothing answers."""
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=1,
                max_size=self._size,
                command_timeout=60,
                max_inactive_connection_lifetime=300,
                reset=_as_it_is,
                server_settings=_SETTINGS,
            )
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
            await _close(pool)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """The pool; StoreError before `open` and after `close`."""
        if self._pool is None:
            raise StoreError("the database is not open")
        return self._pool

    async def fetch(self, query: str, *args: Any) -> Sequence[asyncpg.Record]:
        """The rows of a named query. Raises PostgresUnavailable when the server is lost."""
        try:
            return await self.pool.fetch(QUERIES[query], *args)
        except LOST as error:
            raise lost(error) from error

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


async def _as_it_is(_: object) -> None:
    """A statement leaves nothing behind in its session that would have to be reset by another one."""


async def _close(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except TimeoutError:
        pool.terminate()
