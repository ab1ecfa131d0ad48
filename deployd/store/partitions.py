"""The partitions of what grows for ever: one for each month."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from deployd.store.database import LOST, Database, lost
from deployd.store.queries import QUERIES

__all__ = ["drop_audit", "drop_transitions", "droppable", "ensure_partitions", "months_ahead", "present"]

MONTHS_AHEAD = 3
_PARTITION = re.compile(r"[a-z]+_(\d{4})_(\d{2})")
_SETTLED = timedelta(hours=1)
"""No commit takes so long: what is older is not written to any more."""
PARTITIONED = ("transitions", "audit")
_FROZEN = (
    "autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_threshold = 20000,"
    " autovacuum_vacuum_insert_scale_factor = 0.1"
)
"""What is only inserted is frozen early, and never read again for that."""
_TRIES = 15
_LOCK_MS, _PAUSE = 150, 0.2
"""Commits queue behind whoever waits for a table, so it is waited for briefly, and again: milliseconds for
the lock, seconds in between."""


async def ensure_partitions(db: Database, now: datetime | None = None) -> list[str]:
    """For this month and the next three each table has its partition; the names of those made.

    A month whose rows already fell into the default partition is left there: Postgres refuses it, and
    nothing is lost; one that somebody's long reading keeps from being made is left for another time. Safe to
    call from several processes at once.
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
            done = await _patiently(db, (_creating(table, name, first, _month(now, ahead + 1)),))
        except (asyncpg.CheckViolationError, asyncpg.DuplicateTableError, asyncpg.UniqueViolationError):
            continue
        except asyncpg.InvalidObjectDefinitionError:
            continue  # another process made it under our eyes
        if done:
            made.append(name)
    return made


def _creating(table: str, name: str, first: datetime, end: datetime) -> str:
    bounds = f"from ('{first:%Y-%m-%d}+00') to ('{end:%Y-%m-%d}+00')"
    return f"create table if not exists {name} partition of {table} for values {bounds} with ({_FROZEN})"


async def droppable(db: Database, table: str, before: datetime) -> list[str]:
    """The partitions all of whose rows are older than `before`, oldest first: what is kept has no gap.

    Only of past months: into those nobody writes any more.
    """
    before = min(before, datetime.now(UTC) - _SETTLED)
    return sorted(
        name
        for name in await _present(db, table)
        if (month := _PARTITION.fullmatch(name))
        and _month(datetime(int(month[1]), int(month[2]), 1, tzinfo=UTC), 1) <= before
    )


async def drop_transitions(db: Database, before: datetime) -> list[str]:
    """Drop the partitions of transitions all of which are older than `before`; the names of those dropped.

    In the same transaction the horizons of the worlds concerned are raised, so that nobody who reads on is
    told of a gap as of nothing. What waits for a reader for longer than a few seconds is left for another
    time. Raises PostgresUnavailable.
    """
    dropped: list[str] = []
    for name in await droppable(db, "transitions", before):
        # Before the lock, since nobody writes into it any more; each world by its index.
        inner = f"select max(seq) as seq from {name} t where t.world_id = h.world_id"  # noqa: S608 - our own name
        last = f"select h.world_id, l.seq from world_heads h cross join lateral ({inner}) l"  # noqa: S608
        try:
            rows = await db.pool.fetch(last)
        except asyncpg.UndefinedTableError:
            continue  # another process dropped it under our eyes
        except LOST as error:
            raise lost(error) from error
        rows = [row for row in rows if row["seq"] is not None]
        worlds, seqs = [row["world_id"] for row in rows], [row["seq"] for row in rows]
        # The table before the heads, as a commit takes them: else the two would wait for each other.
        locked = ("lock table transitions in access exclusive mode",)
        raised = (QUERIES["raise_horizons"], worlds, seqs)
        if not await _patiently(db, locked, raised, (f"drop table if exists {name}",)):
            break
        dropped.append(name)
    return dropped


async def drop_audit(db: Database, before: datetime) -> list[str]:
    """Drop the partitions of the audit log all of whose entries are older; as with transitions.

    Its triggers refuse that a row is changed or removed; a month as a whole goes by retention alone.
    """
    dropped: list[str] = []
    for name in await droppable(db, "audit", before):
        if not await _patiently(db, (f"drop table if exists {name}",)):
            break
        dropped.append(name)
    return dropped


async def _patiently(db: Database, *statements: tuple[Any, ...]) -> bool:
    """All of these in one transaction, whose locks hold up nobody; False: somebody reads for long."""
    for number in range(_TRIES):
        if number:
            await asyncio.sleep(_PAUSE)
        try:
            async with db.pool.acquire() as connection, connection.transaction():
                await connection.execute(f"set local lock_timeout = {_LOCK_MS}")
                for statement, *arguments in statements:
                    await connection.execute(statement, *arguments)
            return True
        except asyncpg.LockNotAvailableError:
            continue
        except LOST as error:
            raise lost(error) from error
    return False


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
