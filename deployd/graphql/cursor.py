"""Cursors of a world's transitions: opaque to whoever keeps them, strict when they come back."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from deployd.errors import InputError
from deployd.model.machine import Transition

__all__ = ["Cursor"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CONTENT = re.compile(rb"(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,17})")
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which transition of a world to read on. `at` only spares looking into older partitions."""

    world_id: int
    seq: int = 0
    at: datetime = _EPOCH

    @classmethod
    def behind(cls, transition: Transition) -> Self:
        """What comes after this transition."""
        return cls(transition.world_id, transition.seq, transition.at)

    def encode(self) -> str:
        """The text that clients keep: base64url of the three numbers."""
        text = f"{self.world_id}.{self.seq}.{(self.at - _EPOCH) // _MICROSECOND}"
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, world_id: int) -> Self:
        """The cursor of this world that `encode` wrote. Raises InputError for anything else."""
        wrong = InputError(
            f"{text[:_LONGEST]!r} is no cursor of this world",
            remedy="Send a cursor as this world's transitions gave it, or none to begin anew.",
        )
        try:
            content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise wrong from None
        found = _CONTENT.fullmatch(content) if len(text) <= _LONGEST else None
        if found is None or int(found[1]) != world_id or int(found[2]) >= 2**63:
            raise wrong
        try:
            cursor = cls(world_id, int(found[2]), _EPOCH + int(found[3]) * _MICROSECOND)
        except OverflowError:
            raise wrong from None
        if cursor.encode() != text:  # padding or stray bits: not what was handed out
            raise wrong
        return cursor
