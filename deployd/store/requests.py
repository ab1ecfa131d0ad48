"""Requests under an idempotency key: carried out once, answered as before when they are sent again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from deployd.model.identifier import derived_id
from deployd.store.database import Database

__all__ = ["Kept", "begin", "end"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a key."""

    id: UUID
    """What is made of the request derives from this."""
    digest: str
    """Of the request that it was first used for."""
    answer: str | None
    """A reference to what it came to, as JSON."""
    mine: bool
    """Whether it is the caller's to carry out, for the next half minute."""


async def begin(db: Database, world_id: int, actor: str, key: str, digest: str) -> Kept:
    """Take the key, unless somebody has it or it was answered already."""
    request = derived_id("request", actor, key)
    while True:
        rows = await db.fetch("begin_request", world_id, actor, key, digest, request)
        if rows:  # none: somebody added it in this very moment, which this statement cannot see yet
            row = rows[0]
            return Kept(row["id"], row["digest"], row["answer"], row["mine"])


async def end(db: Database, world_id: int, actor: str, key: str, answer: str | None) -> None:
    """Keep the answer; without one the key is free for another try."""
    await db.execute("end_request", world_id, actor, key, answer)
