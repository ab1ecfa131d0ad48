"""A service's releases by their numbers, which is how people know them."""

from __future__ import annotations

from deployd.cli import documents
from deployd.cli.client import Client
from deployd.errors import Conflict, NotFound

__all__ = ["release_of"]

MOST = 100
"""Releases that the server tells at once."""


async def release_of(client: Client, world: str, name: str, number: int) -> str:
    """The id of the release with this number, of a service that is there. Raises Conflict, NotFound."""
    data = await client.query(documents.HISTORY, {"world": world, "name": name, "first": MOST})
    releases = {one["number"]: one["id"] for one in data["service"]["releases"]}
    if not releases:
        raise Conflict(f"service {name} has no release yet")
    if number not in releases:
        raise NotFound(
            f"service {name} has no release {number}",
            remedy=f"It has {min(releases)} to {max(releases)}: see deployd history {name}",
        )
    return str(releases[number])
