"""run: have a service with a schedule run now, and follow that to its end."""

from __future__ import annotations

import argparse
import asyncio
import time

from deployd.cli import documents
from deployd.cli.client import PATIENCE, Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.session import AGAIN, client_of, console_of, service_of
from deployd.cli.terminal import error_block
from deployd.errors import Conflict, NotFound

__all__ = ["run"]

BEGINNING = 15.0
"""Seconds within which it has to begin, once it is asked for."""


async def run(options: Options, arguments: argparse.Namespace) -> int:
    """Ask for it; unless told not to wait, say how it ended."""
    console, name = console_of(options), arguments.service
    async with client_of(options) as client:
        before = await service_of(client, options.world, name)
        await client.mutate(documents.STEER["run"], {"world": options.world, "service": name})
        if arguments.no_wait:
            if console.json:
                console.document({"service": name, "asked": "run"})
            else:
                console.say(f"{name}: run is asked for")
            return ExitCode.DONE
        ended = await _end(client, options.world, name, before["lastRunAt"])
    reason = ended["lastRunReason"]
    good = reason["code"] == "RUN_SUCCEEDED"
    if console.json:
        console.document({"service": name, "began": ended["lastRunAt"], "reason": reason})
    elif good:
        console.say(reason["summary"])
    else:
        console.complain(
            error_block(reason["summary"], reason["evidence"], reason["remedy"], reason.get("where"))
        )
    if good:
        return ExitCode.DONE
    return ExitCode.CANCELLED if reason["code"] == "RUN_CANCELLED" else ExitCode.FAILED


async def _end(client: Client, world: str, name: str, last: str | None) -> Json:
    """The service once another run of it than the last has ended. Raises NotFound, Conflict."""
    until = time.monotonic() + BEGINNING
    while True:
        data = await client.query(documents.SERVICE, {"world": world, "name": name}, patience=PATIENCE)
        service: Json | None = data["service"]
        if service is None:
            raise NotFound(f"service {name!r} is retired by now", remedy="Deploy it again.")
        if service["lastRunAt"] != last:
            return service
        if service["runningSince"]:
            until = time.monotonic() + BEGINNING
        elif time.monotonic() > until:
            raise Conflict(
                f"{name} does not run: it is {word(service['state'])}",
                remedy=f"See how it stands: deployd status {name}",
            )
        await asyncio.sleep(AGAIN)
