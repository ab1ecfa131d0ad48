"""What the API reads for whole pages: a constant number of statements, however many rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import Health, MachineKind
from deployd.store.database import Database
from deployd.store.machines import to_machine
from deployd.store.releases import to_release

__all__ = [
    "Key",
    "Stamp",
    "Tally",
    "columns",
    "heads",
    "is_migrated",
    "machines",
    "releases",
    "stamps",
    "tallies",
]

Key = tuple[int, UUID]
"""A world's id, and that of a machine or a release in it."""
Stamp = tuple[int, UUID, int, datetime]
"""Of a machine: its world's id, its own, its version, and when it was last written. While that is the same, so
is everything of the machine that is shown."""


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


async def stamps(db: Database, keys: Sequence[Key]) -> list[Stamp]:
    """Of those that exist, in no order."""
    return [tuple(row) for row in await db.fetch("read_stamps", *columns(keys))]


async def releases(db: Database, keys: Sequence[Key]) -> dict[Key, Release]:
    """Those that exist."""
    rows = await db.fetch("read_releases", *columns(keys))
    return {(row["world_id"], row["id"]): to_release(row) for row in rows}


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
