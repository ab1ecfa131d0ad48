"""world show: what a world can do, for people; or as the file that describes it."""

from __future__ import annotations

import argparse
import sys

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.differing import capabilities_of, gates_of
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.session import client_of, console_of
from deployd.cli.terminal import Console, clean
from deployd.errors import Forbidden, NotFound
from deployd.manifest.operator import written_world

__all__ = ["show"]


async def show(options: Options, arguments: argparse.Namespace) -> int:
    """One world. As a file only to those who may see how it is configured."""
    console, name = console_of(options), arguments.name or options.world
    async with client_of(options) as client:
        world: Json | None = (await client.query(documents.WORLD_WHOLE, {"world": name}))["world"]
    if world is None:
        raise NotFound(f"there is no world {name!r}", remedy="See which there are: deployd world list")
    if arguments.output == "yaml":
        if any(one["config"] is None for one in world["capabilities"]):
            raise Forbidden(
                f"how world {name} is configured is the operator's to see",
                remedy="Ask somebody with the role operator or higher.",
            )
        capabilities, gates = capabilities_of(world), gates_of(world)
        sys.stdout.write(written_world(name, capabilities, gates, ephemeral=world["ephemeral"]))
    elif console.json:
        console.document(world)
    else:
        _tell(console, world)
    return ExitCode.DONE


def _tell(console: Console, world: Json) -> None:
    kind = "ephemeral" if world["ephemeral"] else "lasting"
    ended = f", retired {world['retiredAt']}" if world["retiredAt"] else ""
    console.say(f"world {world['name']} ({kind}{ended})")
    for one in world["capabilities"]:
        does = ", ".join(one["does"]) or "-"
        console.say("")
        console.say(f"{console.paint(one['name'], 'bold')}: {one['driver']}, {does}")
        if one["broken"]:
            console.say(console.paint(f"  ↳ {clean(one['broken'])}", "red"))
        if one["supports"]:
            console.say(f"  {_supports(one['supports'])}")
        if one["slugs"]:
            console.say(f"  makes {', '.join(one['slugs'])}")
        if one["approval"]:
            console.say("  deployments wait for an approval")
        if one["limit"] is not None:
            console.say(f"  works at {one['limit']} at a time, others wait for their turn")
        for key in one["keys"]:
            value = (one["config"] or {}).get(key)
            console.say(console.paint(f"  {key}" if value is None else f"  {key}: {value}", "dim"))
    for gate in world["gates"]:
        ports = f" at ports {', '.join(map(str, gate['ports']))}" if gate["ports"] else ""
        console.say("")
        console.say(f"gate {gate['name']}: {', '.join(gate['allow']) or 'nobody'}{ports}")
    for slug in world["slugs"]:
        title = console.paint(slug["slug"], "bold")
        console.say("")
        console.say(f"{title} by {slug['capability']}: {slug['description']}")
        for one in slug["parameters"]:
            console.say(f"  {one['name']} ({one['type']}, else {one['default']}): {one['description']}")


def _supports(one: Json) -> str:
    told = [f"runs a {one['runs']}", f"up to {one['maxScale']} of each"]
    told += [name for name in ("http", "tcp", "tasks") if one[name]]
    return f"{', '.join(told)}; rollouts: {', '.join(one['rollouts'])}"
