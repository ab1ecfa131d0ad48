"""world: list, create, retire, gate."""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.paging import whole_worlds
from deployd.cli.progress import FINAL_CHANGE, word
from deployd.cli.render import age, table
from deployd.cli.session import AGAIN, client_of, console_of
from deployd.errors import Conflict, DeploydError, InputError, NotFound

__all__ = ["create", "gate", "list_worlds", "retire"]

RETIRING = 300.0
"""Seconds within which a world has to end while somebody looks on; it goes on ending without."""


async def list_worlds(options: Options, arguments: argparse.Namespace) -> int:
    """The living worlds, with what they can do."""
    console = console_of(options)
    async with client_of(options) as client:
        worlds = await whole_worlds(client)
    living = [one for one in worlds if one["retiredAt"] is None and one["name"] != "system"]
    if console.json:
        console.document(living)
        return ExitCode.DONE
    now = datetime.now(UTC)
    rows = [
        [
            one["name"],
            "ephemeral" if one["ephemeral"] else "lasting",
            str(len(one["services"])),
            str(len(one["resources"])),
            ", ".join(f"{each['name']} ({each['driver']})" for each in one["capabilities"]) or "-",
            age(one["createdAt"], now),
        ]
        for one in living
    ]
    width = console.size()[0] if console.live else None
    header, *lines = table(["WORLD", "KIND", "SERVICES", "RESOURCES", "CAN", "AGE"], rows, width, (0, 4))
    console.say(console.paint(header, "dim"))
    for line in lines:
        console.say(line)
    return ExitCode.DONE


async def create(options: Options, arguments: argparse.Namespace) -> int:
    """A new world that can do what another one can."""
    console = console_of(options)
    variables = {"name": arguments.name, "like": arguments.like, "ephemeral": arguments.ephemeral}
    async with client_of(options) as client:
        made = await client.mutate(documents.CREATE_WORLD, variables)
    if console.json:
        console.document(made)
    else:
        console.say(f"world {made['name']} is there; deploy to it: deployd deploy --world {made['name']}")
    return ExitCode.DONE


async def gate(options: Options, arguments: argparse.Namespace) -> int:
    """Set one gate of the world, or remove it."""
    console, world, name = console_of(options), options.world, arguments.name
    if name is None and (arguments.remove or arguments.allow or arguments.port):
        raise InputError("which gate is meant?", remedy="Name it: deployd world gate NAME --allow NETWORK")
    if arguments.port and not arguments.allow:
        raise InputError(
            f"gate {name} would let nobody in", remedy="Say who may come in, by --allow NETWORK."
        )
    async with client_of(options) as client:
        there = (await client.query(documents.GATES, {"world": world}))["world"]
        if there is None:
            raise NotFound(f"there is no world {world!r}", remedy="Name another by --world.")
        gates = {one["name"]: one for one in there["gates"]}
        if arguments.remove:
            if gates.pop(name, None) is None:
                raise NotFound(f"world {world!r} has no gate {name!r}", remedy="See: deployd world gate NAME")
        elif arguments.allow:
            gates[name] = {"name": name, "allow": arguments.allow, "ports": arguments.port}
        if arguments.remove or arguments.allow:
            wanted = {"world": world, "gates": list(gates.values())}
            there = await client.mutate(documents.SET_GATES, wanted)
    if console.json:
        console.document(there["gates"])
    elif not there["gates"]:
        console.say(f"world {world} has no gates")
    else:
        for one in there["gates"]:
            ports = f" at ports {', '.join(map(str, one['ports']))}" if one["ports"] else ""
            console.say(f"{one['name']}: {', '.join(one['allow']) or 'nobody'}{ports}")
    return ExitCode.DONE


async def retire(options: Options, arguments: argparse.Namespace) -> int:
    """End a world: it has to be named again, since its data may go with it."""
    console, name = console_of(options), arguments.name
    async with client_of(options) as client:
        change = await client.mutate(documents.RETIRE_WORLD, {"world": name})
        if arguments.no_wait:
            if console.json:
                console.document({"id": change["id"]})
            else:
                console.say(f"world {name} is being retired: change {change['id']}")
            return ExitCode.DONE
        ended = await _ended(client, name, str(change["id"]))
    if word(ended["state"]) != "done":
        reason = ended["reason"] or {}
        raise Conflict(
            str(reason.get("summary") or f"world {name} was not retired"),
            evidence=str(reason.get("evidence") or ""),
            remedy=str(reason.get("remedy") or ""),
        )
    if console.json:
        console.document(ended)
    else:
        for line in ended["plan"]:
            console.say(console.paint(line, "dim"))
        console.say(f"world {name} has ended")
    return ExitCode.DONE


async def _ended(client: Client, name: str, change_id: str) -> Json:
    until = time.monotonic() + RETIRING
    while True:
        change: Json = (await client.query(documents.CHANGE, {"id": change_id}))["change"]
        if word(change["state"]) in FINAL_CHANGE:
            return change
        if time.monotonic() > until:
            raise DeploydError(
                f"world {name} has not ended within {RETIRING:.0f} s; it goes on",
                remedy=f"See what is left: deployd status --world {name}",
            )
        await asyncio.sleep(AGAIN)
