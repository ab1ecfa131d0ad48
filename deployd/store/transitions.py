"""The transitions of a world, read on from a cursor, and the partitions that keep them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from deployd.model.machine import Transition
from deployd.model.reason import Reason
from deployd.model.state import MachineKind
from deployd.store.codec import decode
from deployd.store.database import Database

__all__ = ["ensure_partitions", "entered", "months_ahead", "read", "read_of"]

MONTHS_AHEAD = 3


def _transition(row: asyncpg.Record) -> Transition:
    return Transition(
        world_id=row["world_id"],
        seq=row["seq"],
        at=row["at"],
        machine_id=row["machine_id"],
        kind=MachineKind(row["kind"]),
        service_id=row["service_id"],
        trigger=row["trigger"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        actor=row["actor"],
        reason=decode(Reason, row["reason"]) if row["reason"] else None,
    )


async def read(db: Database, world_id: int, seq: int, at: datetime, limit: int) -> list[Transition]:
    """At most `limit` transitions behind (`seq`, `at`), in order and without a gap."""
    return [_transition(row) for row in await db.fetch("read_transitions", world_id, seq, at, limit)]


async def read_of(
    db: Database, world_id: int, machine_id: UUID, seq: int, at: datetime, limit: int
) -> list[Transition]:
    """The same of one machine."""
    rows = await db.fetch("read_transitions_of", world_id, machine_id, seq, at, limit)
    return [_transition(row) for row in rows]


async def entered(db: Database, keys: Sequence[tuple[int, UUID, int]]) -> list[datetime | None]:
    """For each (world_id, machine_id, seq) when the machine came into the state that `seq` led out of."""
    worlds, ids, numbers = [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
    return [row["at"] for row in await db.fetch("entered", worlds, ids, numbers)]


async def ensure_partitions(db: Database, now: datetime | None = None) -> list[str]:
    """Partitions for this month and the next three exist; the names of those made.

    A month whose rows already fell into the default partition is left there: Postgres refuses it, and
    nothing is lost. Safe to call from several processes at once.
    """
    now = now or datetime.now(UTC)
    there = {row["name"] for row in await db.fetch("partitions")}
    made: list[str] = []
    for ahead in range(MONTHS_AHEAD + 1):
        first = _month(now, ahead)
        name = _partition(first)
        if name in there:
            continue
        try:
            await db.pool.execute(
                f"create table if not exists {name} partition of transitions"
                f" for values from ('{first:%Y-%m-%d}+00') to ('{_month(now, ahead + 1):%Y-%m-%d}+00')"
            )
        except (asyncpg.CheckViolationError, asyncpg.DuplicateTableError, asyncpg.UniqueViolationError):
            continue
        except asyncpg.InvalidObjectDefinitionError:
            continue  # another process made it under our eyes
        made.append(name)
    return made


def months_ahead(now: datetime) -> list[str]:
    """The partitions that should be there."""
    return [_partition(_month(now, ahead)) for ahead in range(MONTHS_AHEAD + 1)]


def _partition(first: datetime) -> str:
    return f"transitions_{first:%Y_%m}"


def _month(now: datetime, ahead: int) -> datetime:
    months = now.year * 12 + now.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
