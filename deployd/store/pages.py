"""Lists that grow, page by page: a constant number of statements, however many worlds or services.

Of machines a page has the stamps (reads.py). It begins behind a place in the list's order. A place is what
rows are ordered by, so that what is added meanwhile neither repeats nor hides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from deployd.model.release import Release
from deployd.model.state import MachineKind
from deployd.store.database import Database
from deployd.store.reads import Key, Look, columns, look, world_ids
from deployd.store.releases import to_release

__all__ = [
    "FIRST_NAME",
    "LAST_MOMENT",
    "LAST_NUMBER",
    "Moment",
    "Which",
    "deployments",
    "named",
    "newest",
    "releases",
    "world_releases",
]

Moment = tuple[datetime, UUID]
"""When something was made, and its id: a place in a list that is newest first."""
LAST_MOMENT: Moment = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))
"""Before everything in such a list."""
LAST_NUMBER = 2**31 - 1
"""Before every release of a service."""
FIRST_NAME = ""
"""Before every name."""


@dataclass(frozen=True, slots=True)
class Which:
    """Which changes or deployments of a world; None: whatever it is."""

    kind: MachineKind
    state: str | None = None
    actor: str | None = None
    service: str | None = None
    """Its name."""


async def named(db: Database, worlds: Sequence[int], kind: MachineKind, after: str, limit: int) -> Look:
    """At most `limit` living services, or resources, of each world, by name."""
    return look(await db.fetch("page_named", list(worlds), kind, after, limit))


async def newest(db: Database, worlds: Sequence[int], which: Which, before: Moment, limit: int) -> Look:
    """At most `limit` of these of each world, newest first."""
    what = which.kind, which.state, which.actor, which.service
    return look(await db.fetch("page_newest", list(worlds), *what, *before, limit))


async def deployments(db: Database, services: Sequence[Key], before: Moment, limit: int) -> Look:
    """At most `limit` of each service, newest first; the stamps are about the services."""
    page = *columns(services), *before, limit
    return look(await db.fetch("page_deployments", *page, world_ids(services)))


async def releases(
    db: Database, services: Sequence[Key], before: int, limit: int
) -> dict[Key, list[Release]]:
    """At most `limit` of each service, newest first; services without are left out."""
    found: dict[Key, list[Release]] = {}
    for row in await db.fetch("page_releases", *columns(services), before, limit):
        found.setdefault((row["world_id"], row["service_id"]), []).append(to_release(row))
    return found


async def world_releases(
    db: Database, worlds: Sequence[int], before: Moment, limit: int
) -> dict[int, list[Release]]:
    """At most `limit` of all services of each world, newest first; worlds without are left out."""
    found: dict[int, list[Release]] = {}
    for row in await db.fetch("page_world_releases", list(worlds), *before, limit):
        found.setdefault(row["world_id"], []).append(to_release(row))
    return found
