"""Who does something. Every call has one, and every transition names it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
