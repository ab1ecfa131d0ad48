"""A service's releases by their numbers, which is how people know them."""

from __future__ import annotations

from deployd.cli import documents
from deployd.cli.client import Client
from deployd.cli.paging import all_of
from deployd.errors import Conflict, NotFound

__all__ = ["release_of"]


async def release_of(client: Client, world: str, name: str, number: int) -> str:
    """The id of the release with this number, of a service that is there. Raises Conflict, NotFound."""
    found = await all_of(client, documents.RELEASES, {"world": world, "name": name}, "service", "releases")
    releases = {one["number"]: one["id"] for one in found or ()}
    if not releases:
        raise Conflict(f"service {name} has no release yet")
    if number not in releases:
        raise NotFound(
            f"service {name} has no release {number}",
            remedy=f"It has {min(releases)} to {max(releases)}: see deployd history {name}",
        )
    return str(releases[number])
