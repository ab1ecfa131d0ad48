"""Whose mail came while a worker holds them, or is about to: so that it is read at once.

Mail that comes while a machine is let go is not seen by that commit any more, and mail that comes while it
is claimed not yet by that claim. Both would lie until somebody polls.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

__all__ = ["Called"]


class Called:
    """What one worker heard of the mail of its machines, by their ids."""

    def __init__(self) -> None:
        self.now = 0
        """The number of the last call."""
        self._held: set[UUID] = set()
        self._calls: dict[UUID, int] = {}
        """Mail that was not read since: the number of the last call."""
        self._early: set[UUID] | None = None
        """Who was called and is not held, while a claim is under way."""

    def call(self, ids: Iterable[UUID]) -> bool:
        """Mail was committed for these; whether any of them is held."""
        self.now += 1
        found = False
        for one in ids:
            if one in self._held:
                self._calls[one] = self.now
                found = True
            elif self._early is not None:
                self._early.add(one)
        return found

    def call_all(self) -> None:
        """Nobody knows whose mail came."""
        self.call(tuple(self._held))

    def read(self, machine_id: UUID, begun: int) -> None:
        """Its mail was delivered by a reading that began after that call."""
        if self._calls.get(machine_id, begun + 1) <= begun:
            del self._calls[machine_id]

    def expect(self) -> None:
        """From now on some are claimed, who may be called before they are held."""
        self._early = set()

    def hold(self, machine_id: UUID) -> None:
        """It was claimed."""
        self._held.add(machine_id)
        if self._early is not None and machine_id in self._early:
            self._calls[machine_id] = self.now

    def came(self) -> bool:
        """The claim is over: whether any was called meanwhile that is held now."""
        early, self._early = self._early or set(), None
        return not self._calls.keys().isdisjoint(early)

    def let_go(self, machine_id: UUID) -> bool:
        """It is not held any more; whether there may be mail that nobody has read."""
        self._held.discard(machine_id)
        return self._calls.pop(machine_id, None) is not None
