"""can-i and audit: what one may do, and what everybody did."""

from __future__ import annotations

import argparse
import difflib

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.render import moment, table
from deployd.cli.session import client_of, console_of
from deployd.cli.terminal import Console, clean, cut
from deployd.cli.tokens import where
from deployd.errors import InputError

__all__ = ["audit", "can_i"]

_PAGE = 200


async def can_i(options: Options, arguments: argparse.Namespace) -> int:
    """Whether one action is permitted in the world; without one, all that are."""
    console = console_of(options)
    async with client_of(options) as client:
        values = (await client.query(documents.ACTIONS))["__type"]["enumValues"]
        actions = {_plain(one["name"]): one for one in values}
        if arguments.action is None:
            return await _all(console, client, options.world, actions)
        wanted = _plain(arguments.action)
        if wanted not in actions:
            near = difflib.get_close_matches(wanted, actions, n=1)
            raise InputError(
                f"there is no action {arguments.action!r}",
                remedy=f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(actions))}.",
            )
        said = await _ask(client, actions[wanted]["name"], options.world)
    if console.json:
        console.document(said)
    elif said["allowed"]:
        console.say(f"yes: {wanted} in world {options.world}")
    else:
        console.say(f"no: {said['reason']}")
        console.note(said["remedy"])
    return ExitCode.DONE if said["allowed"] else ExitCode.REFUSED


async def _all(console: Console, client: Client, world: str, actions: dict[str, Json]) -> int:
    viewer = (await client.query(documents.VIEWER))["viewer"]
    said = {name: await _ask(client, one["name"], world) for name, one in actions.items()}
    if console.json:
        console.document({"viewer": viewer, "actions": {name: one["allowed"] for name, one in said.items()}})
        return ExitCode.DONE
    console.say(f"{viewer['name']} is {word(viewer['role'])} in {where(viewer['worlds'])}; in world {world}:")
    for name, one in said.items():
        mark = console.paint("yes", "green") if one["allowed"] else console.paint("no ", "red")
        console.say(f"  {mark} {name:<16} {console.paint(actions[name]['description'], 'dim')}")
    return ExitCode.DONE


async def _ask(client: Client, action: str, world: str) -> Json:
    """What belongs to no world is asked so: the policy itself knows which that is."""
    place = None if action in ("MANAGE_TOKENS", "STOP_SERVER", "SEE_METRICS", "MAINTAIN") else world
    answer: Json = (await client.query(documents.CAN_I, {"action": action, "world": place}))["canI"]
    return answer


def _plain(action: str) -> str:
    return action.lower().replace("_", "-")


async def audit(options: Options, arguments: argparse.Namespace) -> int:
    """Requests and refusals, newest first."""
    console = console_of(options)
    world = None if arguments.everywhere else options.world
    found: list[Json] = []
    after = None
    async with client_of(options) as client:
        while len(found) < arguments.limit:
            variables = {
                "world": world,
                "actor": arguments.actor,
                "first": min(_PAGE, arguments.limit - len(found)),
                "after": after,
            }
            page = (await client.query(documents.AUDIT, variables))["audit"]
            found += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
    if console.json:
        console.document(found)
    elif not found:
        console.say("nothing is on record")
    else:
        _show(console, found)
    return ExitCode.DONE


def _show(console: Console, found: list[Json]) -> None:
    width = console.size()[0] if console.live else None
    rows = [
        [moment(one["at"]), one["actor"], one["action"], one["world"] or "-", word(one["outcome"])]
        for one in found
    ]
    header, *lines = table(["WHEN", "WHO", "WHAT", "WORLD", "OUTCOME"], rows, width, (1,))
    console.say(console.paint(header, "dim"))
    for one, line in zip(found, lines, strict=True):
        console.say(line)
        if one["message"]:
            note = f"  ↳ {clean(one['message'])}"
            console.say(console.paint(cut(note, width) if width else note, "yellow"))
