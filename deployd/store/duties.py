"""Duties as replicas share them: when each is due, who is at it, what it last came to.

Invariant: nobody is a leader. Whoever takes a duty has it for a while; one that died at it is followed by the
next when that is over. Two at the same duty would do no harm, only twice the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deployd.model.duty import Counted, DutyOutcome
from deployd.store.codec import decode, encode
from deployd.store.database import Database

__all__ = ["Ended", "Record", "end", "leave", "list_all", "plan", "take"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a duty ended."""

    outcome: DutyOutcome
    summary: str
    counted: tuple[Counted, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a duty."""

    name: str
    place: str
    """Empty: it is about the database."""
    due_at: datetime
    last_at: datetime | None
    last: Ended | None
    busy: bool
    overdue: float
    """Seconds since it was due; negative before."""
    living: bool
    """Somebody works on its host."""


async def plan(db: Database, wanted: Sequence[tuple[str, str, timedelta]]) -> None:
    """Have these on record, by name and place, with the time until they are first due."""
    names = [name for name, _, _ in wanted]
    places = [place for _, place, _ in wanted]
    await db.execute("plan_duties", names, places, [after.total_seconds() for _, _, after in wanted])


async def take(db: Database, name: str, place: str, longest: timedelta, *, asked: bool = False) -> bool:
    """Whether it is ours to do now, for so long at most: it is due, or `asked` for, and nobody is at it."""
    return bool(await db.fetch("take_duty", name, place, longest.total_seconds(), asked))


async def end(db: Database, name: str, place: str, ended: Ended, again: timedelta) -> None:
    """Put on record what it came to, and when it is due again."""
    await db.execute(
        "end_duty",
        name,
        place,
        again.total_seconds(),
        ended.seconds,
        ended.outcome,
        ended.summary,
        encode(ended.counted),
    )


async def leave(db: Database, name: str, place: str) -> None:
    """Let others take it at once."""
    await db.execute("leave_duty", name, place)


async def list_all(db: Database, place: str | None = None) -> list[Record]:
    """Those of the database and those of this place; None: of every place."""
    return [
        Record(
            row["name"],
            row["place"],
            row["due_at"],
            row["last_at"],
            None
            if row["outcome"] is None
            else Ended(
                DutyOutcome(row["outcome"]),
                row["summary"],
                decode(tuple[Counted, ...], row["counted"]),
                row["seconds"],
            ),
            row["busy"],
            row["overdue"],
            row["living"],
        )
        for row in await db.fetch("list_duties", place)
    ]
