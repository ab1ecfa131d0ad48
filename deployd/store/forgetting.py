"""Removing what nobody needs any more, in batches: each its own short statement, which holds up no commit.

What each removes, and what it keeps, is said in sql/forgetting.sql. With `dry_run` a batch is only counted.
Any number of processes may do the same at once: what one has removed, the other finds gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.model.state import MachineKind
from deployd.store.database import Database

__all__ = [
    "BATCH",
    "FIRST",
    "Page",
    "Place",
    "attempts",
    "ended",
    "hosts",
    "mail",
    "referred_trees",
    "releases",
    "releases_of",
    "requests",
    "tokens",
    "uploads",
    "workers",
    "worlds",
]

BATCH = 500
"""Rows of one statement."""
UPLOADS = 20
"""Uploads of one statement, each of which may have many parts."""
COUNTED = 10_000
"""Rows that a dry run counts at most."""
Place = tuple[datetime, UUID]
FIRST: Place = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
"""Before all machines."""


@dataclass(frozen=True, slots=True)
class Page:
    """A batch of machines, oldest first."""

    gone: int
    """Those of them that were removed, or would be."""
    next: Place | None
    """Where the next batch begins; None after the last one."""


async def attempts(
    db: Database,
    world_id: int,
    kind: MachineKind,
    before: datetime,
    place: Place,
    keep: int,
    states: tuple[Sequence[str], Sequence[str]],
    *,
    dry_run: bool = False,
) -> Page:
    """Deployments or changes that ended before then, but the newest `keep`.

    `states`: the final ones of this kind, and those of changes.
    """
    rows = await db.fetch(
        "forget_attempts",
        world_id,
        kind,
        before,
        *place,
        BATCH,
        keep,
        list(states[0]),
        list(states[1]),
        dry_run,
    )
    if not rows:
        return Page(0, None)
    row = rows[0]
    return Page(row["gone"], (row["at"], row["id"]) if row["seen"] == BATCH else None)


async def releases_of(
    db: Database, keep: int, before: datetime, after: tuple[int, UUID]
) -> list[tuple[int, UUID, bool]]:
    """Services that may have releases to forget, by world and id, behind a place; whether each is over."""
    rows = await db.fetch("releases_to_forget", keep, *after, BATCH, before)
    return [(row["world_id"], row["service_id"], row["over"]) for row in rows]


async def releases(
    db: Database, world_id: int, service_id: UUID, keep: int, before: datetime, *, dry_run: bool = False
) -> int:
    """Those of a service made before then, but the newest `keep` (0: none) and what is referred to."""
    limit = COUNTED if dry_run else BATCH
    rows = await db.fetch("forget_releases", world_id, service_id, keep, before, limit, dry_run)
    return int(rows[0]["gone"])


async def ended(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Retired services and deleted resources."""
    return await _some(db, "forget_ended", before, BATCH, dry_run=dry_run)


async def worlds(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Ephemeral worlds of which nothing is left."""
    return await _some(db, "forget_worlds", before, BATCH, dry_run=dry_run)


async def mail(db: Database, age: timedelta, *, dry_run: bool = False) -> int:
    """What was sent to machines that are not there."""
    return await _some(db, "forget_mail", age, BATCH, dry_run=dry_run)


async def tokens(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Tokens that were revoked, or ended, before then."""
    return await _some(db, "forget_tokens", before, BATCH, dry_run=dry_run)


async def requests(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Idempotency keys."""
    return await _some(db, "forget_requests", before, BATCH, dry_run=dry_run)


async def uploads(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Uploads, of any world; at most UPLOADS."""
    return await _some(db, "forget_uploads", before, UPLOADS, dry_run=dry_run)


async def workers(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Workers that died before then and hold nothing."""
    return await _some(db, "forget_workers", before, BATCH, dry_run=dry_run)


async def hosts(db: Database, before: datetime, *, dry_run: bool = False) -> int:
    """Duties of hosts that are gone: due before then, and nobody works there."""
    return await _some(db, "forget_duties", before, BATCH, dry_run=dry_run)


async def _some(db: Database, query: str, before: datetime | timedelta, limit: int, *, dry_run: bool) -> int:
    return int((await db.fetch(query, before, COUNTED if dry_run else limit, dry_run))[0]["gone"])


async def referred_trees(db: Database) -> set[str]:
    """The ids of all trees that anything may be made of again."""
    return {row["tree"] for row in await db.fetch("referred_trees")}
