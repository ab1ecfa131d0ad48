"""Ports for internal addresses: of one range, of no other service, and free when looked at."""

from __future__ import annotations

import socket
from collections.abc import Collection
from uuid import UUID

from deployd.drivers.entrypoint.config import Config
from deployd.errors import Retryable

__all__ = ["free_port"]


def free_port(service_id: UUID, used: Collection[int], config: Config) -> int:
    """Spread by the service's id, so that two homes on one host seldom want the same. Raises Retryable."""
    count = config.last_port - config.first_port + 1
    for step in range(count):
        port = config.first_port + (service_id.int + step) % count
        if port not in used and _is_free(port):
            return port
    raise Retryable(
        f"no port from {config.first_port} to {config.last_port} is free for an internal address",
        remedy="Retire services that are not needed, or widen `first_port` and `last_port`.",
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
