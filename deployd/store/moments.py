"""When machines last moved, and when they are looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deployd.store.database import Database

__all__ = ["Moment", "moments"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Of one machine."""

    since: datetime
    """When it came to its present state, or last reported there."""
    worked_in: str | None
    """The state that it last left by its work: where it went wrong, once it has ended badly."""
    due_at: datetime | None
    """When it is looked at again; None: nothing is due, or it is worked at now."""
    held: bool
    """A worker is at it now."""
    turn_of: str | None = None
    """The capability that it waits for a turn of, though it is due."""


async def moments(db: Database, world_id: int, ids: Sequence[UUID]) -> dict[UUID, Moment]:
    """By id; of those that exist."""
    return {
        row["id"]: Moment(row["since"], row["worked_in"], row["due_at"], row["held"], row["turn_of"])
        for row in await db.fetch("moments", world_id, list(ids))
    }
