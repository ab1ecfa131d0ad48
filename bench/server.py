"""The one Postgres that everybody is measured on: deployd's embedded one, as shipped (fsync on)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.home import scratch
from bench.processes import parent
from deployd.store.embedded import EmbeddedPostgres

__all__ = ["Server", "postgres"]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and a folder for what else a bench keeps."""

    dsn: str
    """Of its administrative database, which nobody is measured in."""
    home: Path

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[str]:
        """The DSN of an empty database; it is dropped afterwards, whoever is still connected.

        Begins with a checkpoint, so that nobody pays for what the one before wrote.
        """
        await self.execute(f"create database {name}")
        try:
            await self.execute("checkpoint")
            head, _, query = self.dsn.partition("?")
            yield f"{head.rpartition('/')[0]}/{name}?{query}"
        finally:
            await self.execute(f"drop database {name} with (force)")

    async def execute(self, statement: str) -> None:
        """Run a statement in the administrative database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def connections(self, database: str) -> list[int]:
        """The process ids of the server's ends of the connections to a database."""
        return await self._pids("datname = $1 and backend_type = $2", database, "client backend")

    async def own_processes(self) -> list[int]:
        """The server's processes that serve no connection: the first one, checkpointer, WAL writer, …"""
        # Those that clear up and those that help a query come and go, and belong to no moment.
        passing = ["client backend", "autovacuum worker", "parallel worker"]
        lasting = await self._pids("backend_type <> all($1)", passing)
        return [parent(lasting[0]), *lasting]

    async def postmaster(self) -> int:
        """The first of the server's processes; those that serve connections are its children."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return parent(connection.get_server_pid())
        finally:
            await connection.close()

    async def _pids(self, condition: str, *arguments: object) -> list[int]:
        connection = await asyncpg.connect(self.dsn)
        try:
            rows = await connection.fetch(f"select pid from pg_stat_activity where {condition}", *arguments)
            return [row["pid"] for row in rows]
        finally:
            await connection.close()


@asynccontextmanager
async def postgres() -> AsyncIterator[Server]:
    """A server in a home of its own, gone when the context ends; SIGTERM ends it in order as well."""
    async with scratch() as home, EmbeddedPostgres(home / "postgres") as embedded:
        yield Server(await embedded.start(), home)
