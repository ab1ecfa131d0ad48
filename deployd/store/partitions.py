"""The partitions of what grows for ever: one for each month."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import asyncpg

from deployd.store.database import LOST, Database, lost
from deployd.store.queries import QUERIES

__all__ = ["drop_transitions", "ensure_partitions", "months_ahead", "present"]

MONTHS_AHEAD = 3
_PARTITION = re.compile(r"transitions_(\d{4})_(\d{2})")
_SETTLED = timedelta(hours=1)
"""No commit takes so long: what is older is not written to any more."""
PARTITIONED = ("transitions", "audit")


async def ensure_partitions(db: Database, now: datetime | None = None) -> list[str]:
    """For this month and the next three each table has its partition; the names of those made.

    A month whose rows already fell into the default partition is left there: Postgres refuses it, and
    nothing is lost. Safe to call from several processes at once.
    """
    now = now or datetime.now(UTC)
    return [name for table in PARTITIONED for name in await _ensure(db, table, now)]


async def _ensure(db: Database, table: str, now: datetime) -> list[str]:
    there = await _present(db, table)
    made: list[str] = []
    for ahead in range(MONTHS_AHEAD + 1):
        first = _month(now, ahead)
        name = _partition(table, first)
        if name in there:
            continue
        try:
            await db.pool.execute(
                f"create table if not exists {name} partition of {table}"
                f" for values from ('{first:%Y-%m-%d}+00') to ('{_month(now, ahead + 1):%Y-%m-%d}+00')"
            )
        except (asyncpg.CheckViolationError, asyncpg.DuplicateTableError, asyncpg.UniqueViolationError):
            continue
        except asyncpg.InvalidObjectDefinitionError:
            continue  # another process made it under our eyes
        made.append(name)
    return made


async def drop_transitions(db: Database, before: datetime) -> list[str]:
    """Drop the partitions of transitions all of which are older than `before`; the names of those dropped.

    In the same transaction the horizons of the worlds concerned are raised, so that nobody who reads on is
    told of a gap as of nothing. Only past months go: into those nobody writes any more. What waits for a
    reader for longer than five seconds is left for another time. Raises PostgresUnavailable.
    """
    before = min(before, datetime.now(UTC) - _SETTLED)
    old = [
        str(row["name"])
        for row in await db.fetch("partitions", "transitions")
        if (month := _PARTITION.fullmatch(row["name"]))
        and _month(datetime(int(month[1]), int(month[2]), 1, tzinfo=UTC), 1) <= before
    ]
    dropped: list[str] = []
    for name in sorted(old):  # the oldest first: what is kept has no gap
        try:
            await _drop(db, name)
        except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
            break  # somebody reads for long; or another process dropped it under our eyes
        except LOST as error:
            raise lost(error) from error
        dropped.append(name)
    return dropped


async def _drop(db: Database, name: str) -> None:
    async with db.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local lock_timeout = '5s'")
        last = f"select world_id, max(seq) as seq from {name} group by world_id"  # noqa: S608 - our own name
        rows = await connection.fetch(last)
        # The table before the heads, as a commit takes them: else the two would wait for each other.
        await connection.execute("lock table transitions in access exclusive mode")
        await connection.execute(
            QUERIES["raise_horizons"],
            [row["world_id"] for row in rows],
            [row["seq"] for row in rows],
        )
        await connection.execute(f"drop table {name}")


async def present(db: Database) -> set[str]:
    """The partitions that are there."""
    return {name for table in PARTITIONED for name in await _present(db, table)}


async def _present(db: Database, table: str) -> set[str]:
    return {row["name"] for row in await db.fetch("partitions", table)}


def months_ahead(now: datetime) -> list[str]:
    """The partitions that should be there."""
    return [
        _partition(table, _month(now, ahead)) for table in PARTITIONED for ahead in range(MONTHS_AHEAD + 1)
    ]


def _partition(table: str, first: datetime) -> str:
    return f"{table}_{first:%Y_%m}"


def _month(now: datetime, ahead: int) -> datetime:
    months = now.year * 12 + now.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
