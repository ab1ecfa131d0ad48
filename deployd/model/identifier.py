"""Identifiers: time-ordered ones for what somebody asks for, derived ones for what follows from it."""

from __future__ import annotations

import os
import time
from uuid import UUID, uuid5

__all__ = ["derived_id", "new_id"]

NAMESPACE = UUID("5a1f2c1e-6f0b-5d0e-9f53-6465706c6f79")


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def derived_id(*parts: object) -> UUID:
    """The same parts always give the same id (UUID version 5), so that a repeated act creates nothing new."""
    return uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts))
