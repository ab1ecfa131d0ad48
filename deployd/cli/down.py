"""down: suspend what runs in the world, then end the server of this host."""

from __future__ import annotations

import argparse
import contextlib

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode, ServerUnreachable
from deployd.cli.options import Options
from deployd.cli.paging import all_of, whole_worlds
from deployd.cli.progress import word
from deployd.cli.resources import rested
from deployd.cli.session import client_of, console_of, stuck, until
from deployd.cli.steering import suspended
from deployd.cli.terminal import Console
from deployd.errors import Conflict, InputError, NotFound

__all__ = ["down"]

SUSPENDING = 60.0
"""Seconds within which everything has to be suspended."""
TRIES = 3
"""Servers that are tried, when one ends under our hands."""


async def down(options: Options, arguments: argparse.Namespace) -> int:
    """Services outlive a server: one that is not there is started, so that none is left running."""
    console, local = console_of(options), options.local
    if options.server is not None and options.server != local.url():
        raise InputError(
            f"down ends the server of this host, not {options.server}",
            remedy="Suspend single services by deployd suspend, or leave out --server.",
        )
    if not await local.ready() and local.running() is None and not local.used():
        _say(console, "nothing is running")
        return ExitCode.DONE
    for again in range(TRIES - 1, -1, -1):
        if not await local.ready() and local.running() is None:
            _say(console, "no server is running; starting one to see whether services are")
            await local.start(lambda line: None)
        try:
            async with client_of(options) as client:
                names = await _suspend_all(client, console, options.world)
                if still := await rested(client, options.world):
                    _say(console, f"still running: {', '.join(still)}; see: deployd resource list")
                elsewhere = await _elsewhere(client, options.world)
            break
        except ServerUnreachable:
            # An `up` stops the server that it started as soon as its own services are suspended.
            if not again or local.running() is not None:
                raise
    await local.stop()
    if elsewhere:
        _say(console, f"still running, in other worlds: {', '.join(elsewhere)}")
    _say(console, "everything is suspended, and the server is stopped" if names else "the server is stopped")
    return ExitCode.DONE


async def _suspend_all(client: Client, console: Console, world: str) -> list[str]:
    """Suspend every service of the world that runs or is about to. Raises DeploydError if one goes on."""
    services = await _running(client, world)
    if not services:
        return []
    names = [str(one["name"]) for one in services]
    _say(console, f"suspending {', '.join(names)}")
    for one in services:
        with contextlib.suppress(NotFound, Conflict):
            if one["deployment"] is not None:  # a suspension waits for its end otherwise
                await client.mutate(documents.CANCEL, {"id": one["deployment"]["id"]}, patience=0)
        with contextlib.suppress(NotFound, Conflict):
            named = {"world": world, "service": one["name"]}
            await client.mutate(documents.STEER["suspend"], named, patience=0)
    if waiting := await until(client, world, names, suspended, seconds=SUSPENDING):
        raise stuck(waiting, "suspended", SUSPENDING)
    return names


async def _running(client: Client, world: str) -> list[Json]:
    there = await all_of(client, documents.SERVICES, {"world": world}, "world", "services")
    return [one for one in there or () if not suspended(one)]


async def _elsewhere(client: Client, world: str) -> list[str]:
    return [
        f"{service['name']} ({other['name']})"
        for other in await whole_worlds(client)
        if other["name"] != world
        for service in other["services"]
        if word(service["state"]) == "serving"
    ]


def _say(console: Console, text: str) -> None:
    if console.json:
        console.tell("note", text=text)
    else:
        console.say(text)
