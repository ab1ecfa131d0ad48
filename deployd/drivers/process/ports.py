"""Ports for services: of one range, used by no other instance of this driver, and free when looked at."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from uuid import UUID

from deployd.errors import Retryable

__all__ = ["choose_ports", "is_free"]


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now, on any address."""
    for family, host in ((socket.AF_INET, ""), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False  # otherwise: a machine without IPv6
    return True


def choose_ports(
    names: Iterable[str], before: Mapping[str, int], taken: set[int], release_id: UUID, first: int, last: int
) -> dict[str, int]:
    """A port for each name: the one it had before, where that is free, else another. Raises Retryable."""
    count = last - first + 1
    at = release_id.int % count  # spread, so that two homes on one machine seldom want the same
    chosen: dict[str, int] = {}
    tried = 0
    for name in names:
        port = before.get(name, 0)
        while port in taken or not first <= port <= last or not is_free(port):
            if tried == count:
                raise Retryable(
                    f"no port from {first} to {last} is free",
                    remedy="End services that are not needed, or widen `first_port` and `last_port`.",
                )
            port = first + (at + tried) % count
            tried += 1
        chosen[name] = port
        taken = taken | {port}
    return chosen
