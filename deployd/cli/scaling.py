"""service scale: run another number of copies."""

from __future__ import annotations

import argparse

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.session import client_of, console_of, stuck, until

__all__ = ["scale"]

WAITING = 120.0
"""Seconds within which all copies have to be there and well."""


async def scale(options: Options, arguments: argparse.Namespace) -> int:
    """Ask for it, and wait until so many do well; of a service that is suspended, until it knows."""
    console, name, copies = console_of(options), arguments.service, arguments.copies

    def settled(service: Json | None) -> bool:
        if service is None:
            return True
        if service["copies"] != copies:
            return False
        well = service["running"] == copies and word(service["health"]) == "healthy"
        return well or word(service["state"]) == "suspended"

    async with client_of(options) as client:
        asked = {"world": options.world, "service": name, "copies": copies}
        await client.mutate(documents.SCALE, asked)
        if not arguments.no_wait:
            waiting = await until(client, options.world, [name], settled, seconds=WAITING)
            if waiting:
                raise stuck(waiting, f"running {copies} copies", WAITING)
    if console.json:
        console.document({"service": name, "asked": "scale", "copies": copies})
    else:
        number = "1 copy" if copies == 1 else f"{copies} copies"
        console.say(f"{name}: {number} {'asked for' if arguments.no_wait else 'shall run'}")
    return ExitCode.DONE
