"""Who does something. Every call has one, and every transition names it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from uuid import UUID

__all__ = ["ENGINE", "Actor", "Role"]

ENGINE = "deployd"
"""The actor of what deployd does by itself."""


class Role(StrEnum):
    """What an actor may do, each more than the one before."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` as it is recorded: `person:ada`, `token:ci`."""

    name: str
    role: Role
    worlds: tuple[str, ...] | None = None
    """Patterns of the names of the only worlds that exist for it, as shells have them; None: all."""
    token_id: UUID | None = None
    """The token that it came with."""
    expires_at: datetime | None = None
    """From when on that does not count any more."""

    def reaches(self, world: str) -> bool:
        """Whether the world exists for it, whatever it may do there."""
        return self.worlds is None or any(fnmatchcase(world, one) for one in self.worlds)
