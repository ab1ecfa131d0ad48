"""Releases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from deployd.model.facts import Source
from deployd.model.release import Release
from deployd.model.spec import ServiceSpec
from deployd.store.codec import decode, encode
from deployd.store.database import Database

__all__ = ["RanBefore", "add", "get", "list_of", "ran_before", "to_release"]


@dataclass(frozen=True, slots=True)
class RanBefore:
    """A command that was run once before a release served."""

    number: int
    """The release's."""
    command: str
    at: datetime


def to_release(row: asyncpg.Record) -> Release:
    """A release from a row of `releases` with its JSON as text."""
    return Release(
        world_id=row["world_id"],
        id=row["id"],
        service_id=row["service_id"],
        number=row["number"],
        spec=decode(ServiceSpec, row["spec"]),
        source=decode(Source, row["source"]),
        created_at=row["created_at"],
        fingerprint=row["fingerprint"],
    )


async def add(
    db: Database,
    world_id: int,
    release_id: UUID,
    service_id: UUID,
    spec: ServiceSpec,
    source: Source,
    fingerprint: str = "",
) -> None:
    """The release exists; one of this id that did is left as it is."""
    await db.execute(
        "add_release", world_id, release_id, service_id, encode(spec), encode(source), fingerprint
    )


async def get(db: Database, world_id: int, release_id: UUID) -> Release | None:
    """The release of this id."""
    rows = await db.fetch("get_release", world_id, release_id)
    return to_release(rows[0]) if rows else None


async def list_of(db: Database, world_id: int, service_id: UUID, limit: int) -> list[Release]:
    """A service's releases, newest first."""
    return [to_release(row) for row in await db.fetch("list_releases", world_id, service_id, limit)]


async def ran_before(db: Database, world_id: int, service_id: UUID, number: int) -> list[RanBefore]:
    """Which commands ran before releases of the service that are later than this number, oldest first."""
    rows = await db.fetch("list_ran_before", world_id, service_id, number)
    return [RanBefore(row["number"], row["command"], row["at"]) for row in rows]
