"""The only one that talks to the servers: as their administrator by the socket, as a role by TCP.

Errors of Postgres become Retryable, Terminal or Denied here, their cause chained; their texts never hold a
password, as no statement does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from deployd.drivers.postgres.naming import HOST
from deployd.drivers.postgres.statements import (
    Database,
    Role,
    Wanted,
    create_database,
    database_statements,
    quarrel,
    role_statements,
)
from deployd.errors import Denied, Retryable, Terminal
from deployd.model.reason import Reason
from deployd.model.state import Health
from deployd.postgres.cluster import USER

__all__ = ["Client", "NotYet"]

CONNECTING = 3.0
WORKING = 10.0
"""Seconds for one statement."""
LOCK = 7_318_349_394_477_056
"""The advisory lock of whoever changes roles and databases."""
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SILENT = (
    OSError,  # a TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
LATER = (
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # in use
    asyncpg.TransactionRollbackError,
    asyncpg.QueryCanceledError,
    asyncpg.DuplicateObjectError,  # somebody else was quicker: the next look finds it
    asyncpg.DuplicateDatabaseError,
    asyncpg.UniqueViolationError,
)
REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # it is half dropped
)

ROLE = """
select shobj_description(oid, 'pg_authid') as tag, rolpassword as verifier, rolconnlimit as connections,
       rolcanlogin as login
from pg_authid where rolname = $1
"""
DATABASE = """
select shobj_description(oid, 'pg_database') as tag, pg_get_userbyid(datdba) as owner,
       datconnlimit as connections, has_database_privilege('public', oid, 'connect') as public
from pg_database where datname = $1
"""
OPEN = """
select datname from pg_database
where datname in ('postgres', 'template1') and has_database_privilege('public', oid, 'connect')
"""


class NotYet(Exception):
    """The server starts, stops, recovers or is busy, as the message says."""


@dataclass(frozen=True, slots=True)
class Client:
    """The administration of one world's server."""

    world: str
    socket: Path
    port: int
    password: str

    async def provide(self, wanted: Wanted) -> Reason | None:
        """Role and database are there as wanted; a reason when the name is somebody else's.

        Raises NotYet, Retryable, Terminal, Denied.
        """
        async with self._alone(wanted.tag) as connection:
            role, database = await _seen(connection, wanted.name)
            if (reason := quarrel(wanted, role, database)) is not None:
                return reason
            await _together(connection, role_statements(wanted, role))
            for name in await connection.fetch(OPEN):
                await connection.execute(f'revoke all on database "{name["datname"]}" from public')
            if database is not None and database.half_dropped:
                await connection.execute(f'drop database "{wanted.name}"')
                database = None
            if database is None:
                await connection.execute(create_database(wanted))
                _, database = await _seen(connection, wanted.name)
            if database is not None:
                await _together(connection, database_statements(wanted, database))
        return None

    async def withdraw(self, wanted: Wanted) -> None:
        """Neither is there any more, and nobody is connected; what is not ours is left alone.

        Raises NotYet, Retryable, Terminal, Denied.
        """
        async with self._alone(wanted.tag) as connection:
            role, database = await _seen(connection, wanted.name)
            if quarrel(wanted, role, database) is not None:
                return
            if role is not None:
                await connection.execute(f'alter role "{wanted.name}" nologin')
            if database is not None:
                await connection.execute(f'drop database if exists "{wanted.name}" with (force)')
            if role is not None:
                await connection.execute(f'drop role if exists "{wanted.name}"')

    async def look(self, wanted: Wanted) -> Health:
        """How it does for whoever uses it: a query of its role; where that may not, what the server says."""
        try:
            connection = await asyncpg.connect(
                host=HOST,
                port=self.port,
                user=wanted.name,
                password=wanted.password,
                database=wanted.name,
                ssl=False,
                timeout=CONNECTING,
                command_timeout=CONNECTING,
                target_session_attrs=SessionAttribute.any,
            )
            try:
                await connection.fetchval("select 1")
            finally:
                connection.terminate()
        except asyncpg.CannotConnectNowError:
            return Health.PROGRESSING
        except asyncpg.TooManyConnectionsError:
            return await self._by_administrator(wanted, Health.HEALTHY)
        except REFUSED:
            return await self._by_administrator(wanted, Health.DEGRADED)
        except (*SILENT, asyncpg.PostgresError):
            return Health.DEGRADED
        return Health.HEALTHY

    async def _by_administrator(self, wanted: Wanted, there: Health) -> Health:
        try:
            async with self._connected(wanted.tag) as connection:
                role, database = await _seen(connection, wanted.name)
        except NotYet:
            return Health.PROGRESSING
        except (Retryable, Terminal, Denied):
            return Health.DEGRADED
        if database is None or database.half_dropped or quarrel(wanted, role, database) is not None:
            return Health.MISSING
        return there

    @asynccontextmanager
    async def _alone(self, tag: str) -> AsyncIterator[Connection]:
        """Nobody else changes roles and databases of this server, in whichever process."""
        async with self._connected(tag) as connection:
            await connection.execute("select pg_advisory_lock($1)", LOCK)
            yield connection

    @asynccontextmanager
    async def _connected(self, tag: str) -> AsyncIterator[Connection]:
        with self._translated():
            connection = await asyncpg.connect(
                host=str(self.socket),
                port=self.port,
                user=USER,
                password=self.password,
                database="postgres",
                timeout=CONNECTING,
                command_timeout=WORKING,
                target_session_attrs=SessionAttribute.any,
                server_settings={
                    "application_name": tag,
                    "lock_timeout": "5s",
                    "statement_timeout": f"{WORKING:g}s",
                },
            )
            try:
                yield connection
            finally:
                connection.terminate()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        where = f"the Postgres of world {self.world}"
        try:
            yield
        except asyncpg.LockNotAvailableError as error:
            raise NotYet("others change databases of this server") from error
        except (asyncpg.CannotConnectNowError, FileNotFoundError) as error:  # its socket is not there yet
            raise NotYet("the server starts or stops") from error
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise Denied(
                f"{where} refuses deployd",
                remedy="Restore the files `data` and `password` of its folder together.",
                evidence=str(error),
            ) from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise Denied(f"{where} does not let deployd do this", evidence=str(error)) from error
        except LATER as error:
            raise Retryable(f"{where} cannot do this now", evidence=str(error)) from error
        except SILENT as error:
            raise Retryable(
                f"{where} does not answer",
                remedy="Look at postgres.log in its folder.",
                evidence=f"{type(error).__name__}: {error}",
            ) from error
        except asyncpg.PostgresError as error:
            raise Terminal(f"{where} cannot do this", evidence=str(error)) from error


async def _seen(connection: Connection, name: str) -> tuple[Role | None, Database | None]:
    role = await connection.fetchrow(ROLE, name)
    database = await connection.fetchrow(DATABASE, name)
    return (Role(**role) if role else None), (Database(**database) if database else None)


async def _together(connection: Connection, statements: tuple[str, ...]) -> None:
    async with connection.transaction():
        for statement in statements:
            await connection.execute(statement)
