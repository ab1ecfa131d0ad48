"""How old a worker's lease is, on a clock that counts a pause."""

from __future__ import annotations

import time
from contextvars import ContextVar
from datetime import timedelta

from deployd.errors import LeaseLost

__all__ = ["LEASE", "Lease"]


def _clock() -> float:
    """Seconds that go on while the machine sleeps: CLOCK_BOOTTIME, or the nearest that there is."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class Lease:
    """One lease for all that a worker holds, renewed by its heartbeat.

    Invariant: `check` passes only while no other worker can have declared this one dead: the lease
    counts from before the heartbeat was sent, and ends for us at four fifths of what others wait. It begins
    with the first `renew`. It belongs to one id of a worker, and once lost is never found again.
    """

    def __init__(self, length: timedelta) -> None:
        self.length = length
        self._renewed = float("-inf")
        self._lost = False

    def now(self) -> float:
        """A moment to hand to `renew` after the heartbeat that is about to be sent has been answered."""
        return _clock()

    def renew(self, sent: float) -> None:
        """The heartbeat sent at `sent` was accepted."""
        self._renewed = max(self._renewed, sent)

    def lose(self) -> None:
        """Others have declared this worker dead: it never counts as alive again."""
        self._lost = True

    @property
    def held(self) -> bool:
        """Whether nobody else can have taken over yet."""
        return not self._lost and _clock() - self._renewed < self.length.total_seconds() * 0.8

    def check(self) -> None:
        """Raise LeaseLost where `held` is false. Called right before every driver call."""
        if not self.held:
            raise LeaseLost("this worker was silent for too long; another one may go on with its machines")


LEASE: ContextVar[Lease] = ContextVar("deployd_lease")
"""Under which the present task holds its machine: its own, whatever its worker has registered as since."""
