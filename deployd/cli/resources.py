"""resource: list, delete; and waiting until what was provided on this host rests."""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.paging import all_of
from deployd.cli.progress import word
from deployd.cli.render import age, table
from deployd.cli.session import AGAIN, client_of, console_of
from deployd.cli.terminal import Console, clean, cut
from deployd.errors import DeploydError, NotFound

__all__ = ["delete", "list_resources", "rested", "show"]

DELETING = 120.0
"""Seconds within which a resource has to be gone while somebody looks on."""
RESTING = 20.0
"""Seconds that the resources of this host get to stop, once nobody who has them runs."""


async def list_resources(options: Options, arguments: argparse.Namespace) -> int:
    """The world's resources."""
    console = console_of(options)
    async with client_of(options) as client:
        found = await _resources(client, options.world)
    if console.json:
        console.document(found)
    elif not found:
        console.say(f"world {options.world} has no resources")
    else:
        show(console, found)
    return ExitCode.DONE


def show(console: Console, resources: list[Json]) -> None:
    """A table, with the reason of each that is not well."""
    now, width = datetime.now(UTC), console.size()[0] if console.live else None
    rows = [
        [
            one["name"],
            one["slug"] or one["type"],
            word(one["state"]),
            word(one["health"]),
            word(one["ownership"]),
            ", ".join(one["services"]) or "-",
            age(one["createdAt"], now),
        ]
        for one in resources
    ]
    titles = ["RESOURCE", "SLUG", "STATE", "HEALTH", "OWNERSHIP", "SERVICES", "AGE"]
    header, *lines = table(titles, rows, width, (0, 5, 1))
    console.say(console.paint(header, "dim"))
    for one, line in zip(resources, lines, strict=True):
        console.say(line)
        if one["reason"] and word(one["health"]) not in ("healthy", "suspended"):
            note = f"  ↳ {clean(one['reason']['summary'])}"
            console.say(console.paint(cut(note, width) if width else note, "red"))


async def delete(options: Options, arguments: argparse.Namespace) -> int:
    """Delete a resource with its data, and wait until it is gone."""
    console, name = console_of(options), arguments.name
    variables = {"world": options.world, "name": name}
    async with client_of(options) as client:
        await client.mutate(documents.DELETE_RESOURCE, variables)
        until = time.monotonic() + DELETING
        while not arguments.no_wait:
            there = (await client.query(documents.RESOURCE, variables))["resource"]
            if there is None:
                break
            if word(there["state"]) == "failed" and there["reason"]:
                why = there["reason"]
                raise DeploydError(why["summary"], remedy=why["remedy"], evidence=why["evidence"])
            if time.monotonic() > until:
                raise DeploydError(
                    f"resource {name} is not gone within {DELETING:.0f} s; it goes on",
                    remedy="See how it stands: deployd resource list",
                )
            await asyncio.sleep(AGAIN)
    done = "is being deleted" if arguments.no_wait else "is deleted"
    if console.json:
        console.document({"resource": name, "asked": "delete"})
    else:
        console.say(f"resource {name} {done}")
    return ExitCode.DONE


async def rested(client: Client, world: str) -> list[str]:
    """Wait until nothing runs any more for resources of this host that nobody needs; those that still do.

    Those that stand by themselves never rest, and are not waited for.
    """
    until = time.monotonic() + RESTING
    while True:
        running = [
            one
            for one in await _resources(client, world)
            if one["boundToHost"] and word(one["state"]) == "ready" and word(one["health"]) != "suspended"
        ]
        if all(one["standing"] for one in running) or time.monotonic() > until:
            return [str(one["name"]) for one in running]
        await asyncio.sleep(AGAIN)


async def _resources(client: Client, world: str) -> list[Json]:
    found = await all_of(client, documents.RESOURCES, {"world": world}, "world", "resources")
    if found is None:
        raise NotFound(f"there is no world {world!r}", remedy="Name another by --world.")
    return found
