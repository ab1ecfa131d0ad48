"""Finding by what one has in one's hand: a name, an id or its beginning, a commit, an actor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.store.database import Database
from deployd.store.machines import to_machine
from deployd.store.releases import to_release

__all__ = ["SHORTEST", "Hit", "machines", "release", "releases"]

SHORTEST = 4
"""Characters of the beginning of an id or of a commit."""
_HEX = re.compile(r"[0-9a-f]{4,}")
_KINDS = ("", "person:", "token:", "local:", "webhook:")
"""An actor is found without its kind too."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found."""

    rank: int
    """The lower the nearer."""
    matched: str
    """`name`, `id`, `commit` or `actor`."""
    what: Machine | Release


def _ids(text: str) -> tuple[UUID | None, UUID | None]:
    """The first and the last id that begins like this; none where nothing could."""
    digits = text.lower().replace("-", "")
    if not _HEX.fullmatch(digits) or len(digits) > 32:
        return None, None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _commits(text: str) -> tuple[str | None, str | None]:
    """The range of the commits that begin like this: from the first, up to before the second."""
    digits = text.lower()
    if not _HEX.fullmatch(digits):
        return None, None
    return digits, digits + "g"


async def machines(db: Database, world_ids: Sequence[int], text: str, limit: int) -> list[Hit]:
    """At most `limit` machines for each way of finding them, the nearest first."""
    actors = [kind + text for kind in _KINDS]
    rows = await db.fetch(
        "search_machines", list(world_ids), text, *_ids(text), *_commits(text), actors, limit
    )
    return [Hit(row["rank"], row["matched"], to_machine(row)) for row in rows]


async def releases(db: Database, world_ids: Sequence[int], text: str, limit: int) -> list[Hit]:
    """The same of releases, which have neither name nor actor."""
    if _ids(text) == _commits(text) == (None, None):
        return []
    rows = await db.fetch("search_releases", list(world_ids), *_ids(text), *_commits(text), limit)
    return [Hit(row["rank"], row["matched"], to_release(row)) for row in rows]


async def release(db: Database, world_ids: Sequence[int], release_id: UUID) -> Release | None:
    """The release with this id in any of the worlds."""
    rows = await db.fetch("find_release", list(world_ids), release_id)
    return to_release(rows[0]) if rows else None
