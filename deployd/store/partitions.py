"""The partitions of what grows for ever: one for each month."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from deployd.store.database import Database

__all__ = ["ensure_partitions", "months_ahead", "present"]

MONTHS_AHEAD = 3
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
