"""What the API reads for whole pages: a constant number of statements, however many rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.store.database import Database
from deployd.store.machines import to_machine
from deployd.store.releases import to_release

__all__ = [
    "Key",
    "deployments",
    "heads",
    "is_migrated",
    "machines",
    "newest_releases",
    "releases",
    "resources",
    "services",
]

Key = tuple[int, UUID]
"""A world's id, and that of a machine or a release in it."""


def _columns(keys: Sequence[Key]) -> tuple[list[int], list[UUID]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def heads(db: Database, world_ids: Sequence[int]) -> dict[int, tuple[int, datetime]]:
    """For each world the `seq` of its last transition, and when it was."""
    rows = await db.fetch("read_heads", list(world_ids))
    return {row["world_id"]: (row["seq"], row["at"]) for row in rows}


async def machines(db: Database, keys: Sequence[Key]) -> dict[Key, Machine]:
    """Those that exist."""
    rows = await db.fetch("read_machines", *_columns(keys))
    return {(row["world_id"], row["id"]): to_machine(row) for row in rows}


async def services(db: Database, world_ids: Sequence[int]) -> dict[int, list[Machine]]:
    """The living services of each world, by name; a world without any is left out."""
    found: dict[int, list[Machine]] = {}
    for row in await db.fetch("read_services", list(world_ids)):
        found.setdefault(row["world_id"], []).append(to_machine(row))
    return found


async def resources(db: Database, world_ids: Sequence[int]) -> dict[int, list[Machine]]:
    """The living resources of each world, by name; a world without any is left out."""
    found: dict[int, list[Machine]] = {}
    for row in await db.fetch("read_resources", list(world_ids)):
        found.setdefault(row["world_id"], []).append(to_machine(row))
    return found


async def deployments(db: Database, services: Sequence[Key], limit: int) -> dict[Key, list[Machine]]:
    """At most `limit` deployments of each service, newest first; a service without any is left out."""
    found: dict[Key, list[Machine]] = {}
    for row in await db.fetch("read_deployments", *_columns(services), limit):
        found.setdefault((row["world_id"], row["service_id"]), []).append(to_machine(row))
    return found


async def releases(db: Database, keys: Sequence[Key]) -> dict[Key, Release]:
    """Those that exist."""
    rows = await db.fetch("read_releases", *_columns(keys))
    return {(row["world_id"], row["id"]): to_release(row) for row in rows}


async def newest_releases(db: Database, services: Sequence[Key], limit: int) -> dict[Key, list[Release]]:
    """At most `limit` releases of each service, newest first; a service without any is left out."""
    found: dict[Key, list[Release]] = {}
    for row in await db.fetch("read_newest_releases", *_columns(services), limit):
        found.setdefault((row["world_id"], row["service_id"]), []).append(to_release(row))
    return found


async def is_migrated(db: Database) -> bool:
    """Whether deployd's schema is there. Raises PostgresUnavailable when nothing answers."""
    return bool((await db.fetch("is_migrated"))[0]["there"])
