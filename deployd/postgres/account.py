"""Whom a server runs as, and what it inherits. Postgres refuses to be root, so root's servers have own users.

The users are numbers without a name. They lie just below those that systemd gives away, and far above those
of people.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ENVIRONMENT", "SERVER", "WORLDS", "Account", "as_child", "unprivileged"]

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that a server inherits, so that no PG* variable or locale of a shell changes what it does."""
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a group of the system, by number; they need no names."""

    uid: int
    gid: int


SERVER = Account(61183, 61183)
"""Of deployd's own database."""
WORLDS = Account(61182, 61182)
"""Of the servers whose databases belong to services: these cannot read deployd's own."""


def unprivileged(account: Account) -> Account | None:
    """This account where we are root; None, for whoever we are, elsewhere."""
    return account if os.geteuid() == 0 else None


def as_child(account: Account | None, death_signal: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec: change to `account`, and bind its life to ours.

    On Linux the kernel sends it `death_signal` when the thread ends that started it, however that
    happens. Elsewhere a child may survive us. Only makes system calls, as a forked child should.
    """
    parent, number = os.getpid(), death_signal.value
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def in_child() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)  # last: setuid clears it
            if os.getppid() != parent:  # we died before it could be bound
                os._exit(1)

    return in_child
