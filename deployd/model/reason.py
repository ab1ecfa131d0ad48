"""The one plain reason: what failed, on which object, the evidence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fault", "Reason"]


class Fault(StrEnum):
    """Who said no: the work (`failed`), or the machinery that should have done it (`errored`)."""

    FAILED = "failed"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is, on itself; the only place where a failure is explained."""

    code: str
    """Stable, in capitals with underscores; programs compare it."""
    summary: str
    """One sentence: what failed, on which object."""
    evidence: str = ""
    """What was seen: an exit status, the last log lines, an event. May have several lines."""
    remedy: str = ""
    """What to do about it, in the imperative."""
    fault: Fault = Fault.FAILED
