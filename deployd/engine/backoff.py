"""How long to wait before the next try."""

from __future__ import annotations

import random
from datetime import timedelta

__all__ = ["backoff"]

_FIRST = 0.25
_LONGEST = 30.0


def backoff(attempt: int) -> timedelta:
    """Exponential with full jitter from the second half: try 1 after 0.13-0.25 s, at most 30 s."""
    longest = min(_LONGEST, _FIRST * 2 ** min(attempt - 1, 16))
    return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311 - not a secret
