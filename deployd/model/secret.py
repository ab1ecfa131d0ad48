"""A secret as people see it: everything of it but its value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["SECRET_BYTES", "SECRET_NAME", "Secret"]

SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
"""What a secret may be called; references name it so."""
SECRET_BYTES = 64 * 1024
"""How long a value may be, in UTF-8."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that a world keeps under a name. No field holds the value, so that none can leave by it."""

    name: str
    revision: UUID
    """Another one at every set: what was made with the value before can be told from what was not."""
    set_at: datetime
    set_by: str
