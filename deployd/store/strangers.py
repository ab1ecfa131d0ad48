"""Machines that this process does not understand, since a newer version of deployd wrote them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import UUID

__all__ = ["Strangers"]

_REMEMBERED = 30.0
"""Seconds after which one is looked at again: the newer version may have taken it to a state known here."""
_MOST = 10_000


class Strangers:
    """Their ids, each for half a minute: so that a worker does not take them again and again."""

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}

    def add(self, ids: Iterable[UUID]) -> None:
        """These are not understood. Beyond ten thousand the oldest are forgotten."""
        for one in ids:
            self._until.pop(one, None)
            self._until[one] = time.monotonic() + _REMEMBERED
        for one in list(self._until)[: max(0, len(self._until) - _MOST)]:
            del self._until[one]

    @property
    def ids(self) -> list[UUID]:
        """Those to leave alone now."""
        if self._until:
            now = time.monotonic()
            self._until = {one: until for one, until in self._until.items() if until > now}
        return list(self._until)
