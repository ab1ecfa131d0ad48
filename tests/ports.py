"""Ports of this worker of xdist alone: a port is chosen first and opened later, and others run beside it.

They lie below those that drivers and the kernel give by themselves: what the kernel gave for a moment, it
gives to others then.
"""

from __future__ import annotations

import itertools
import os

from deployd.drivers.process.ports import is_free

__all__ = ["DATABASES", "INSIDE", "free_port", "settings"]

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST = 10_000 + _WORKER % 16 * 600
_FREE = range(_FIRST, _FIRST + 200)
INSIDE = range(_FIRST + 200, _FIRST + 400)
"""For internal addresses."""
DATABASES = range(_FIRST + 400, _FIRST + 600)
# Whoever runs the tests beside us has workers of the same names, but processes of other ids.
_turns = itertools.count(os.getpid())


def free_port() -> int:
    """One at which nobody listens, and that nobody else is given for a while."""
    for turn in itertools.islice(_turns, len(_FREE)):
        port = _FREE[turn % len(_FREE)]
        if is_free(port):
            return port
    raise AssertionError(f"nothing is free from {_FREE[0]} to {_FREE[-1]}")


def settings(ports: range) -> dict[str, object]:
    """A driver's, of these ports."""
    return {"first_port": ports[0], "last_port": ports[-1]}
