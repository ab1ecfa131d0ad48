"""The audit log: who asked for what, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = ["AuditEntry", "Outcome"]


class Outcome(StrEnum):
    """What a request came to."""

    ASKED = "asked"
    """It is under way; or the server ended in the middle of it."""
    DONE = "done"
    REFUSED = "refused"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request."""

    world_id: int
    id: UUID
    at: datetime
    actor: str
    action: str
    """The mutation; or the way by which somebody came who was refused."""
    outcome: Outcome
    arguments: str | None = None
    """As JSON; never a secret's value."""
    ended_at: datetime | None = None
    code: str | None = None
    """Of the problem, where it was refused."""
    message: str | None = None
