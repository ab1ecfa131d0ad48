"""Workers: one row each, one heartbeat for all that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from deployd.store.database import Database

__all__ = ["add", "alive_on", "beat", "bury", "cut_off", "end"]


async def add(db: Database, worker: UUID, placements: Sequence[str], host: str, pid: int) -> None:
    """Register a worker under an id that is new at each start."""
    await db.execute("add_worker", worker, list(placements), host, pid)
    await db.execute("set_back")  # it may have been while nobody was here to notice


async def beat(db: Database, worker: UUID) -> bool:
    """Say that it lives. False: it was declared dead, and stays so.

    This is also where it is noticed that the database's clock was set back, and put right what follows.
    """
    rows = await db.fetch("beat", worker)
    if rows and rows[0]["set_back"]:
        await db.execute("set_back")
    return bool(rows)


async def end(db: Database, worker: UUID) -> None:
    """It leaves by itself; what it holds may be returned at once."""
    await db.execute("end_worker", worker)


async def bury(db: Database, silence: timedelta) -> list[UUID]:
    """Declare dead whoever has been silent for so long."""
    rows = await db.fetch("bury", round(silence.total_seconds() * 1000))
    if any(row["set_back"] for row in rows):
        await db.execute("set_back")
    return [row["id"] for row in rows if not row["set_back"]]


async def cut_off(db: Database, silence: timedelta) -> int:
    """End sessions whose process has not read its answer for so long; how many."""
    return len(await db.fetch("cut_off", round(silence.total_seconds() * 1000)))


async def alive_on(db: Database, host: str) -> list[tuple[UUID, int]]:
    """The workers of a host that count as alive, with their process ids."""
    return [(row["id"], row["pid"]) for row in await db.fetch("list_alive_on", host)]
