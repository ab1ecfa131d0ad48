"""The partitions of what grows for ever: one for each month."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from deployd.store.database import Database

__all__ = ["ensure_partitions"]

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
    there = {row["name"] for row in await db.fetch("partitions", table)}
    made: list[str] = []
    for ahead in range(MONTHS_AHEAD + 1):
        first = _month(now, ahead)
        name = f"{table}_{first:%Y_%m}"
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


def _month(now: datetime, ahead: int) -> datetime:
    months = now.year * 12 + now.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
