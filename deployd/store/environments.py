"""What the services of a world ask for in their environments, as written: references, never values."""

from __future__ import annotations

from collections.abc import Mapping

from deployd.store.codec import decode
from deployd.store.database import Database

__all__ = ["list_of"]


async def list_of(db: Database, world_id: int) -> list[tuple[str, Mapping[str, str]]]:
    """Each living service with what it serves, and again with what was last asked of it."""
    rows = await db.fetch("list_environments", world_id)
    return [(row["service"], decode(dict[str, str], row["env"])) for row in rows]
