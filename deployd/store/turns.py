"""Turns: for capabilities that work for so many machines of their world at once, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deployd.store.database import Database
from deployd.store.machines import Claimed, understood
from deployd.store.strangers import Strangers

__all__ = ["take", "waiting"]


async def waiting(db: Database, placements: Sequence[str]) -> list[tuple[int, str]]:
    """The world and the capability of each limit that machines of these places wait at."""
    return [(row["world_id"], row["limited_by"]) for row in await db.fetch("list_waiting", list(placements))]


async def take(
    db: Database,
    worker: UUID,
    placements: Sequence[str],
    world_id: int,
    capability: str,
    most: int,
    strangers: Strangers,
) -> list[Claimed]:
    """Claim machines whose turn it is: as many as the capability's limit leaves, and `most` at most."""
    ids = [
        row["id"]
        for row in await db.fetch("take_turns", worker, list(placements), world_id, capability, most)
    ]
    if not ids:
        return []
    return await understood(db, worker, await db.fetch("get_taken", world_id, ids, worker), strangers)
