"""What the API reads for whole pages: a constant number of statements, however many rows."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import Health, MachineKind
from deployd.store.database import Database
from deployd.store.machines import to_machine
from deployd.store.releases import to_release

__all__ = [
    "AsOf",
    "Key",
    "Stamp",
    "Stamps",
    "Tally",
    "as_of",
    "columns",
    "heads",
    "is_migrated",
    "machines",
    "releases",
    "stamp",
    "stamps",
    "tallies",
    "unpacked",
]

Key = tuple[int, UUID]
"""A world's id, and that of a machine or a release in it."""
Stamp = tuple[Key, int, int]
"""Of a machine: which, its version, and when it was last written, in microseconds since 2000.

While that is the same, so is everything of the machine that is shown.
"""
AsOf = tuple[int, ...]
"""When something of some worlds was so: how often a machine of each was written, made or taken away by then,
and up to which `seq` its transitions were not kept. While that is the same, so is everything of them that is
shown; none of these numbers ever falls.
"""
Stamps = bytes
"""Of a page of machines, one after the other, as Postgres sends it: two pages with the same are the same.

Each is 56 bytes: the world's id, the id of what the page asks about (a service of its deployments, else the
machine), the machine's id, its version, and when it was last written.
"""

_STAMP = struct.Struct(">q16s16sqq")
_BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many machines of a kind are in a state, and do so well."""

    kind: MachineKind
    state: str
    health: Health
    count: int


def columns(keys: Sequence[Key]) -> tuple[list[int], list[UUID]]:
    """The worlds and the ids, each by themselves: two arrays of a statement."""
    return [key[0] for key in keys], [key[1] for key in keys]


async def heads(db: Database, world_ids: Sequence[int]) -> dict[int, tuple[int, datetime]]:
    """For each world the `seq` of its last transition, and when it was."""
    rows = await db.fetch("read_heads", list(world_ids))
    return {row["world_id"]: (row["seq"], row["at"]) for row in rows}


async def machines(db: Database, keys: Sequence[Key]) -> dict[Key, Machine]:
    """Those that exist."""
    rows = await db.fetch("read_machines", *columns(keys))
    return {(row["world_id"], row["id"]): to_machine(row) for row in rows}


async def stamps(db: Database, keys: Sequence[Key]) -> Stamps:
    """Of those that exist, in the order of the keys."""
    return bytes((await db.fetch("read_stamps", *columns(keys)))[0][0] or b"")


def unpacked(stamps_: Stamps) -> Iterator[tuple[Key, Stamp]]:
    """Each of them, with what it was asked about."""
    for world_id, about, id_, version, written in _STAMP.iter_unpack(stamps_):
        yield (world_id, UUID(bytes=about)), ((world_id, UUID(bytes=id_)), version, written)


def stamp(machine: Machine) -> Stamp:
    """The one that it has."""
    return (machine.world_id, machine.id), machine.version, (machine.updated_at - _BEGAN) // _MICROSECOND


async def releases(db: Database, keys: Sequence[Key]) -> dict[Key, Release]:
    """Those that exist."""
    rows = await db.fetch("read_releases", *columns(keys))
    return {(row["world_id"], row["id"]): to_release(row) for row in rows}


async def as_of(db: Database, world_ids: Sequence[int]) -> AsOf:
    """Of when these worlds are by now."""
    row = (await db.fetch("read_as_of", list(world_ids)))[0]
    return (*row["writes"], *row["horizons"])


async def tallies(db: Database, world_ids: Sequence[int]) -> dict[int, list[Tally]]:
    """Of the living services and resources of each world; worlds without are left out."""
    found: dict[int, list[Tally]] = {}
    for row in await db.fetch("read_tallies", list(world_ids)):
        one = Tally(MachineKind(row["kind"]), row["state"], Health(row["health"]), row["count"])
        found.setdefault(row["world_id"], []).append(one)
    return found


async def is_migrated(db: Database) -> bool:
    """Whether deployd's schema is there. Raises PostgresUnavailable when nothing answers."""
    return bool((await db.fetch("is_migrated"))[0]["there"])
