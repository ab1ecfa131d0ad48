"""What deployd does now and then so that nothing grows for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Counted", "Duty", "DutyOutcome"]


class DutyOutcome(StrEnum):
    """What a run of a duty came to."""

    DONE = "done"
    UNFINISHED = "unfinished"
    """There is more to do than it had time for; it goes on soon."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Counted:
    """So many of these, in a run; where it was only asked what would be done, so many to come."""

    what: str
    """In the plural: `deployments`."""
    number: int


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty, when it ran last, and when it runs next."""

    name: str
    description: str
    every_seconds: int
    place: str | None
    """The host whose own things it is about; None: the database."""
    next_at: datetime | None = None
    """None: no server has ever planned it."""
    last_at: datetime | None = None
    seconds: float | None = None
    """What the last run took."""
    outcome: DutyOutcome | None = None
    summary: str = ""
    """What the last run did, or why it failed: one sentence."""
    counted: tuple[Counted, ...] = ()
    busy: bool = False
    """Somebody is at it."""
