"""The transitions of a world, read on from a cursor."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from deployd.model.machine import Transition
from deployd.model.reason import Reason
from deployd.model.state import MachineKind
from deployd.store.codec import decode
from deployd.store.database import Database
from deployd.store.reads import AsOf, look

__all__ = ["Page", "Places", "entered", "history", "numbered", "numbers", "read", "read_of", "read_page"]

Places = bytes
"""Which transitions a page of a history has, one after the other, as Postgres sends it.

Two pages of a world with the same are the same. Each is 16 bytes: `seq`, and when it was.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
_PLACE = struct.Struct(">qq")


@dataclass(frozen=True, slots=True)
class Page:
    """Transitions that follow one another, and how far back they go."""

    horizon: int
    """Transitions of the world up to this `seq` are not kept any more."""
    transitions: list[Transition]


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


async def read_page(db: Database, world_id: int, seq: int, at: datetime, limit: int) -> Page:
    """At most `limit` transitions behind (`seq`, `at`), in order and without a gap from there.

    Unless `seq` is below the horizon: then what came behind it is not there any more, and these begin behind
    the horizon.
    """
    rows = await db.fetch("read_page", world_id, seq, at, limit)
    horizon = rows[0]["horizon"] if rows else 0
    return Page(horizon, [_transition(row) for row in rows if row["seq"] is not None])


async def history(
    db: Database,
    world_id: int,
    place: tuple[int, datetime] | None,
    limit: int,
    *,
    service_id: UUID | None = None,
    machine_id: UUID | None = None,
    oldest_first: bool = False,
) -> tuple[AsOf, Places]:
    """At most `limit` transitions that are kept, behind a place: of a world, a service, or one machine.

    And as of when the world is: how often it was written, and its horizon.
    """
    if oldest_first:
        query, start = "read_history_up", (0, _EPOCH)
    else:
        query, start = "read_history", (2**63 - 1, datetime(9999, 12, 31, tzinfo=UTC))
    return look(await db.fetch(query, world_id, service_id, machine_id, *(place or start), limit))


def numbers(places: Places) -> list[tuple[int, int]]:
    """The `seq` of each, and when it was, in microseconds since 2000."""
    return list(_PLACE.iter_unpack(places))


async def numbered(db: Database, world_id: int, places: Sequence[tuple[int, int]]) -> dict[int, Transition]:
    """The transitions of a world at these places, by `seq`; without any that are not kept any more."""
    moments = [_BEGAN + timedelta(microseconds=at) for _, at in places]
    rows = await db.fetch("read_numbered", world_id, [seq for seq, _ in places], min(moments), max(moments))
    return {row["seq"]: _transition(row) for row in rows}
