"""What somebody who looks at an installation finds: one thing that is well, doubtful or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level"]


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """Says on itself what was looked at, what was seen, and what to do."""

    check: str
    """What was looked at, in one word: `database`, `entrypoint`."""
    level: Level
    summary: str
    """What was seen, in one sentence; never a secret."""
    remedy: str = ""
    """What to do about it, in the imperative; empty where all is well."""
    evidence: str = ""
    """May have several lines."""
