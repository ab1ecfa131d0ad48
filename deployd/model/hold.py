"""A hold: somebody's word that a service stays at what it serves, or that a release does not come back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["Hold"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Of the service itself, or of one release; there is at most one of each."""

    by: str
    at: datetime
    note: str = ""
    """Why, for people."""
    release_id: UUID | None = None
    """The release that is held; None: the service itself."""
    number: int | None = None
    """That release's, for people."""
    fingerprint: str = ""
    """That release's: whatever else is made of the same is held as well. Empty: only the release itself."""
    rollback: UUID | None = None
    """The rollback that made it: should that come to nothing, this goes with it."""
