"""Brings the database's schema to what this version needs.

Migrations are plain SQL files called `0001_words.sql`, numbered without gaps and only ever added to.
Each is applied once, in a transaction of its own together with its row in `schema_migrations`, so that
a crash leaves either both or neither. Any number of processes may start at once on an empty database.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deployd.errors import MigrationError, PostgresUnavailable

__all__ = ["migrate", "pending"]

LOCK = 0x6465706C6F7964
"""The advisory lock that who migrates holds: "deployd" in ASCII."""
PAUSE = 0.05
"""Seconds between two attempts to get the lock."""
TRIES = 10
"""At a migration that deadlocks, each of which takes the second after which Postgres looks for that."""
CONNECTING = 30.0
"""Seconds within which the database has to answer."""
FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

CREATE_TABLE = """
create table if not exists schema_migrations (
    version int primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""

APPLIED = "select * from schema_migrations order by version"

LOCK_HOLDER = """
select a.pid, a.client_addr, a.backend_start, a.query
from pg_locks l
join pg_stat_activity a using (pid)
join pg_database d on d.oid = l.database and d.datname = current_database()
where l.locktype = 'advisory' and l.granted and (l.classid::bigint << 32) + l.objid::bigint = $1
"""


@dataclass(frozen=True, slots=True)
class _Migration:
    version: int
    name: str
    sql: str
    sha256: str


async def migrate(dsn: str, folder: Path | None = None, *, timeout: float = 60) -> tuple[str, ...]:  # noqa: ASYNC109 - bounds the waiting for others, not the work
    """Apply what is missing; the names of the files that were applied, in order.

    `folder`: where the files are; by default those that came with deployd. `timeout`: seconds to wait
    while another process migrates; the migrations themselves may take as long as they need. Raises
    MigrationError, after which the schema is as it was before the file that is named, and
    PostgresUnavailable.
    """
    migrations = _read(folder or _shipped())
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECTING)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PostgresUnavailable(
            "The database cannot be reached to migrate it", evidence=f"{type(error).__name__}: {error}"
        ) from error
    try:
        await _lock(connection, timeout)
        await connection.execute(CREATE_TABLE)
        missing = _pending(migrations, await connection.fetch(APPLIED))
        for migration in missing:
            await _apply(connection, migration)
        return tuple(migration.name for migration in missing)
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise PostgresUnavailable(
            "The database was lost while it was migrated", evidence=f"{type(error).__name__}: {error}"
        ) from error
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"The database refuses to be migrated: {error}",
            remedy="Let the role in DEPLOYD_DATABASE_URL own its database.",
        ) from error
    finally:
        connection.terminate()  # the lock goes with the session


async def pending(dsn: str, folder: Path | None = None) -> tuple[str, ...]:
    """The names of the files that are not applied yet; changes nothing.

    Raises MigrationError where the database has others than these, and PostgresUnavailable.
    """
    migrations = _read(folder or _shipped())
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECTING)
        try:
            there = await connection.fetchval("select to_regclass('schema_migrations') is not null")
            applied = await connection.fetch(APPLIED) if there else []
        finally:
            connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PostgresUnavailable(
            "The database cannot be asked for its migrations", evidence=f"{type(error).__name__}: {error}"
        ) from error
    return tuple(one.name for one in _pending(migrations, applied))


def _shipped() -> Path:
    """Beside this module in a wheel, at the root of a checkout."""
    beside = Path(__file__).parent / "migrations"
    return beside if beside.is_dir() else Path(__file__).parents[2] / "migrations"


def _read(folder: Path) -> tuple[_Migration, ...]:
    """The files of the folder by number, which runs from 1 without gaps."""
    migrations: list[_Migration] = []
    for path in sorted(folder.glob("*.sql")):
        if not (match := FILE_NAME.fullmatch(path.name)):
            raise MigrationError(
                f"{path} has no migration's name", remedy="Call it like 0001_words.sql, in small letters."
            )
        expected = len(migrations) + 1
        if int(match[1]) != expected:
            raise MigrationError(
                f"{path} should have the number {expected:04}",
                remedy="Number migrations from 0001 without gaps and doubles, or install deployd anew.",
            )
        content = path.read_bytes()
        migrations.append(
            _Migration(expected, path.name, content.decode(), hashlib.sha256(content).hexdigest())
        )
    if not migrations:
        raise MigrationError(f"There are no migrations in {folder}", remedy="Install deployd anew.")
    return tuple(migrations)


async def _lock(connection: asyncpg.Connection, patience: float) -> None:
    """Be the only one who migrates.

    By trying again and again: a session that waits inside pg_advisory_lock holds a snapshot meanwhile,
    with which CREATE INDEX CONCURRENTLY deadlocks.
    """
    deadline = time.monotonic() + patience
    while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
        if time.monotonic() >= deadline:
            holder = await connection.fetchrow(LOCK_HOLDER, LOCK)
            raise MigrationError(
                f"Another process has been migrating the database for {patience:g} s",
                remedy="Wait until it has finished and start again; end its session if it hangs.",
                evidence=", ".join(f"{key}={value}" for key, value in holder.items()) if holder else "",
            )
        await asyncio.sleep(PAUSE)


def _pending(migrations: tuple[_Migration, ...], applied: list[asyncpg.Record]) -> tuple[_Migration, ...]:
    """What is not applied yet, after looking whether all that is applied are these files."""
    for position, row in enumerate(applied, start=1):
        if row["version"] != position:
            raise MigrationError(
                f"The database has {row['name']} but no migration {position:04}",
                remedy="Restore the table schema_migrations, or the database, from a backup.",
            )
        if position > len(migrations):
            raise MigrationError(
                f"The database has {row['name']}; this version of deployd knows migrations up to "
                f"{migrations[-1].name}",
                remedy="Run the newer deployd that applied it, or restore a backup from before it.",
            )
        if row["sha256"] != migrations[position - 1].sha256:
            raise MigrationError(
                f"{migrations[position - 1].name} is not what was applied at {row['applied_at']:%F %H:%M}",
                remedy="Restore the file as it was, and write the change into a new migration.",
                evidence=f"applied sha256 {row['sha256']}, file {migrations[position - 1].sha256}",
            )
    return migrations[len(applied) :]


async def _apply(connection: asyncpg.Connection, migration: _Migration) -> None:
    """Once. Deadlocked with replicas that work meanwhile, it gives way to them and tries again."""
    try:
        for tries in range(TRIES):
            try:
                async with connection.transaction():
                    await connection.execute(migration.sql)
                    await connection.execute(
                        "insert into schema_migrations (version, name, sha256) values ($1, $2, $3)",
                        migration.version,
                        migration.name,
                        migration.sha256,
                    )
                return
            except asyncpg.DeadlockDetectedError:
                if tries == TRIES - 1:
                    raise
    except asyncpg.PostgresConnectionError:
        raise
    except asyncpg.PostgresError as error:
        position = getattr(error, "position", None)
        line = migration.sql.count("\n", 0, int(position) - 1) + 1 if position else None
        seen = (getattr(error, "detail", None), getattr(error, "hint", None))
        raise MigrationError(
            f"{migration.name}{f':{line}' if line else ''}: {error}",
            remedy="The database is as before this file. Put right what it stumbled over and start again.",
            evidence="\n".join(part for part in seen if part),
        ) from error
