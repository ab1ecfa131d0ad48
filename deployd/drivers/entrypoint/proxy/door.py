"""Where a connection came in decides whom its requests can be for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from .table import Found, Table

__all__ = ["Door", "inner_door", "outer_door"]


@dataclass(frozen=True, slots=True)
class Door:
    """`find` is given host (with its port, as it was said), path and peer."""

    find: Callable[[str, str, str], Found | None]
    unknown: Callable[[str, str], str]
    """What a caller is told whom nobody is found for; given host and peer."""
    names: bool
    """Whether requests have to name a host."""


def outer_door(table: Table, entry: tuple[str, int]) -> Door:
    """The entrypoint: by host and path."""

    def find(host: str, path: str, peer: str) -> Found | None:
        return table.find(entry, _name(host), path, peer)

    def unknown(host: str, peer: str) -> str:
        known = table.hosts(entry, peer)
        text = f"no service is called {_name(host) or 'nothing'} here"
        if not known:
            return text
        there = "\n".join(f"  {one}" for one in known)
        return f"{text}; there are:\n{there}"

    return Door(find, unknown, names=True)


def inner_door(table: Table, service_id: str) -> Door:
    """A service's internal address: whatever the host."""
    return Door(
        lambda host, path, peer: table.inside(service_id),
        lambda host, peer: "the service of this address is retired",
        names=False,
    )


@lru_cache(1024)
def _name(host: str) -> str:
    return re.sub(r"\.?(:\d*)?$", "", host.lower())
