"""Worlds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import asyncpg

from deployd.model.world import Capability, Gate, World
from deployd.store.codec import decode, encode
from deployd.store.database import Database
from deployd.telemetry.subject import WORLDS

__all__ = [
    "add",
    "add_capability",
    "by_id",
    "get",
    "head",
    "horizon",
    "list_all",
    "retire",
    "set_gates",
    "update",
]


def _world(row: asyncpg.Record) -> World:
    WORLDS[row["world_id"]] = row["name"]
    return World(
        world_id=row["world_id"],
        uid=row["uid"],
        name=row["name"],
        capabilities=decode(dict[str, Capability], row["capabilities"]),
        ephemeral=row["ephemeral"],
        created_at=row["created_at"],
        gates=decode(dict[str, Gate], row["gates"]),
        retired_at=row["retired_at"],
        version=row["version"],
    )


def _as_known(row: asyncpg.Record, known: Mapping[int, World]) -> World:
    """The same object as before where nothing was changed: most of a row is JSON."""
    one = known.get(row["world_id"])
    return one if one is not None and one.version == row["version"] else _world(row)


async def add(
    db: Database,
    name: str,
    capabilities: Mapping[str, Capability],
    *,
    ephemeral: bool = False,
    gates: Mapping[str, Gate] = MappingProxyType({}),
) -> None:
    """A world of this name exists; one that did is left as it is."""
    await db.execute("add_world", name, encode(capabilities), ephemeral, encode(dict(gates)))


async def add_capability(db: Database, world: str, name: str, capability: Capability) -> None:
    """The world has a capability of this name; one that it had is left as it is."""
    await db.execute("add_capability", world, name, encode(capability))


async def retire(db: Database, world_id: int) -> None:
    """The world has ended; so it may have before."""
    await db.execute("retire_world", world_id)


async def set_gates(db: Database, world_id: int, gates: Mapping[str, Gate]) -> None:
    """The world's gates are these."""
    await db.execute("set_gates", world_id, encode(gates))


async def update(
    db: Database, world: World, capabilities: Mapping[str, Capability], gates: Mapping[str, Gate]
) -> bool:
    """The world has these from now on, unless it changed or ended since it was read; whether it has."""
    rows = await db.fetch("update_world", world.world_id, world.version, encode(capabilities), encode(gates))
    return bool(rows)


async def get(db: Database, name: str, known: Mapping[int, World] = MappingProxyType({})) -> World | None:
    """The world of this name: the living one, or else the last that ended; `known`: as of `list_all`."""
    rows = await db.fetch("get_world", name)
    return _as_known(rows[0], known) if rows else None


async def by_id(db: Database, world_id: int) -> World | None:
    """The world of this id, also one that has ended."""
    return next((one for one in await list_all(db) if one.world_id == world_id), None)


async def list_all(db: Database, known: Mapping[int, World] = MappingProxyType({})) -> list[World]:
    """All worlds, by name, also those that have ended; `known`: as they were before, by their ids."""
    found = [_as_known(row, known) for row in await db.fetch("list_worlds")]
    if len(WORLDS) > len(found):  # some are forgotten
        for gone in WORLDS.keys() - {one.world_id for one in found}:
            del WORLDS[gone]
    return found


async def head(db: Database, world_id: int) -> tuple[int, datetime]:
    """The `seq` of the world's last transition (0 before the first), and when it was."""
    rows = await db.fetch("get_head", world_id)
    return rows[0]["seq"], rows[0]["at"]


async def horizon(db: Database, world_id: int) -> int:
    """The `seq` up to which the world's transitions are not kept any more; 0: all are."""
    rows = await db.fetch("get_head", world_id)
    return int(rows[0]["horizon"])
