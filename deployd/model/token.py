"""Tokens: by which programs and people are known, without what is secret about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deployd.model.actor import Role

__all__ = ["TOKEN_NAME", "Token"]

TOKEN_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Token:
    """One that lives has a name of its own; one that was revoked leaves its name to others."""

    id: UUID
    name: str
    role: Role
    created_at: datetime
    worlds: tuple[str, ...] | None = None
    """Patterns of names, as shells have them; None: all."""
    created_by: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the minute."""
    revoked_at: datetime | None = None
    revoked_by: str | None = None
