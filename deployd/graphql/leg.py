"""One of the executions by which a subscription is told, where it is told by several of them.

A subscriber first catches up by an execution of its own, which ends; from there on it is told by one that all
share who asked for the same (`web/channel.py`), and may end by one of its own again. Each begins behind what
the one before told: cursors make that exact.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from deployd.graphql.cursor import Cursor

__all__ = ["Leg"]


@dataclass(slots=True)
class Leg:
    """What the execution is told, and what it tells of itself."""

    start: Cursor | None = None
    """Go on behind this, and have nothing of the argument `after`."""
    until: Callable[[int], int | None] | None = None
    """By the world's id, the `seq` at which it is to end; where that is None, and without anything new
    before that, it ends once nothing is left to tell. Without this function it does not end."""
    permission: Callable[[], Awaitable[None]] | None = None
    """Asked before each look in place of the caller's own permission: of whoever is told by this."""
    began: float = field(default_factory=time.monotonic)
    """When the subscription did, on the monotonic clock."""
    position: Cursor | None = None
    """Behind what was told."""
    caught_up: bool = False
    """It has ended so that another is to go on from `position`."""
    astray: bool = False
    """Nothing was left to tell before `until`: the world does not go as far, as after a restored backup."""

    _bounded: bool = False

    @property
    def counted(self) -> bool:
        """Whether the subscription ends with this execution: it is observed once."""
        return self.permission is None and not self.caught_up

    def room(self, cursor: Cursor, most: int) -> int:
        """How many transitions may be read behind the cursor: none once it has come far enough."""
        end = None if self.until is None else self.until(cursor.world_id)
        self._bounded = end is not None
        return most if end is None else max(0, min(most, end - cursor.seq))

    def read(self, found: int, room: int) -> bool:
        """Whether there may be more, where so many were found of those for which there was room."""
        self.astray = self._bounded and found < room
        return found == room
