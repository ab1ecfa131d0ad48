"""What the API reads for whole pages: a constant number of statements, however many rows."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import asyncpg

from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import Health, MachineKind
from deployd.store.database import Database
from deployd.store.machines import to_machine
from deployd.store.releases import to_release

__all__ = [
    "AsOf",
    "Key",
    "Look",
    "Stamp",
    "Tally",
    "as_of",
    "columns",
    "heads",
    "is_migrated",
    "key_of",
    "look",
    "machines",
    "pieces",
    "releases",
    "stamp",
    "stamps",
    "tallies",
    "world_ids",
]

Key = tuple[int, UUID]
"""A world's id, and that of a machine or a release in it."""
Stamp = bytes
"""Of a machine: its world's id, its own, its version, and when it was last written, as Postgres sends them.

While that is the same, so is everything of the machine that is shown. 40 bytes.
"""
AsOf = tuple[int, ...]
"""When something of some worlds was so: how often a machine of each was written, made or taken away by then,
and up to which `seq` its transitions were not kept. While that is the same, so is everything of them that is
shown; none of these numbers ever falls.
"""
Look = tuple[AsOf, bytes]
"""As of when a page of machines is, and their stamps one after the other: pages with the same are the same.

Before each stamp are the 16 bytes of the id of what it is about: the service, of its deployments; else the
machine itself. That is in the same world.
"""

_STAMP = struct.Struct(">q16sqq")
_ABOUT, _WHOLE = 16, 56
_KEY = struct.Struct(">16sq")
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


async def stamps(db: Database, keys: Sequence[Key]) -> Look:
    """Of those that exist, in the order of the keys."""
    return look(await db.fetch("read_stamps", *columns(keys), world_ids(keys)))


def look(rows: Sequence[asyncpg.Record]) -> Look:
    """What a statement has found that looks at a page."""
    numbers, stamps_ = rows[0]
    return tuple(numbers), stamps_ or b""


def world_ids(keys: Iterable[Key]) -> list[int]:
    """The worlds that these are in, each once, in the order in which they come."""
    return list(dict.fromkeys(world_id for world_id, _ in keys))


def pieces(stamps_: bytes) -> list[tuple[Key, Stamp]]:
    """Each stamp of a page, with what it is about."""
    return [
        (_about(stamps_[at : at + _KEY.size]), stamps_[at + _ABOUT : at + _WHOLE])
        for at in range(0, len(stamps_), _WHOLE)
    ]


@lru_cache(maxsize=8192)
def _about(piece: bytes) -> Key:
    id_, world_id = _KEY.unpack(piece)
    return world_id, UUID(bytes=id_)


def stamp(machine: Machine) -> Stamp:
    """The one that it has."""
    written = (machine.updated_at - _BEGAN) // _MICROSECOND
    return _STAMP.pack(machine.world_id, machine.id.bytes, machine.version, written)


def key_of(stamp_: Stamp) -> Key:
    """Which machine it is of."""
    world_id, id_, _, _ = _STAMP.unpack(stamp_)
    return world_id, UUID(bytes=id_)


async def releases(db: Database, keys: Sequence[Key]) -> dict[Key, Release]:
    """Those that exist."""
    rows = await db.fetch("read_releases", *columns(keys))
    return {(row["world_id"], row["id"]): to_release(row) for row in rows}


async def as_of(db: Database, world_ids_: Sequence[int]) -> AsOf:
    """When these worlds are by now."""
    return tuple((await db.fetch("read_as_of", list(world_ids_)))[0]["numbers"])


async def tallies(db: Database, world_ids_: Sequence[int]) -> tuple[AsOf, dict[int, list[Tally]]]:
    """Of the living services and resources of each world; worlds without are left out. And as of when."""
    found: dict[int, list[Tally]] = {}
    rows = await db.fetch("read_tallies", list(world_ids_))
    for row in rows:
        if row["world_id"] is not None:
            one = Tally(MachineKind(row["kind"]), row["state"], Health(row["health"]), row["count"])
            found.setdefault(row["world_id"], []).append(one)
    return tuple(rows[0]["numbers"]), found


async def is_migrated(db: Database) -> bool:
    """Whether deployd's schema is there. Raises PostgresUnavailable when nothing answers."""
    return bool((await db.fetch("is_migrated"))[0]["there"])
