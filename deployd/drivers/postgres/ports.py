"""Ports for servers: one of the range that no other world has and that is free, and who has a port."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from deployd.drivers.postgres.naming import HOST
from deployd.errors import Retryable

__all__ = ["choose_port", "holder", "is_free"]

LISTENING = "0A"
"""As /proc/net/tcp says it."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def choose_port(start: int, taken: set[int], first: int, last: int) -> int:
    """The next free one from `start` on (any number), none of `taken`. Raises Retryable."""
    count = last - first + 1
    for step in range(count):
        port = first + (start + step) % count
        if port not in taken and is_free(port):
            return port
    raise Retryable(
        f"no port from {first} to {last} is free for a Postgres",
        remedy="End programs that are not needed, or widen `first_port` and `last_port` of the capability.",
    )


def holder(port: int) -> str:
    """Who listens on this port, for people: `process 4711 (python3 -m http.server)`; where it can be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    if sockets:
        for process in Path("/proc").iterdir():
            if process.name.isdecimal() and _holds(process, sockets):
                try:
                    words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    words = ""  # it ends
                return f"process {process.name} ({words.strip()[:200]})"
    return "another program"


def _listening(port: int) -> list[str]:
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue  # not on Linux
        rows = (line.split() for line in lines)
        found += [
            row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port
        ]
    return found


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(one.readlink()) in sockets for one in (process / "fd").iterdir())
    except OSError:
        return False  # somebody else's, or it ended
