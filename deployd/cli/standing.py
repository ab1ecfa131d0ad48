"""resource create, update, adopt, show: infrastructure by hand, whether or not a manifest names it."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.render import health_style
from deployd.cli.session import AGAIN, client_of, console_of
from deployd.cli.terminal import error_block
from deployd.errors import DeploydError, InputError, NotFound

__all__ = ["adopt", "create", "show_one", "update"]

WAITING = 180.0
"""Seconds within which it has to be there and well while somebody looks on."""

Params = list[dict[str, str]]


async def create(options: Options, arguments: argparse.Namespace) -> int:
    """Make one that stands by itself, and wait until it is ready."""
    params = _params(arguments.param)
    asked = {"name": arguments.name, "slug": arguments.slug, "params": params}
    return await _ask(options, arguments, documents.CREATE_RESOURCE, asked, "create", _ready)


async def update(options: Options, arguments: argparse.Namespace) -> int:
    """Change its parameters in place, and wait until that is so."""
    params = _params(arguments.param)
    before: str | None = None

    async with client_of(options) as client:
        before = (await _resource(client, options.world, arguments.name))["updatedAt"]

    def settled(resource: Json) -> bool:
        return bool(resource["updatedAt"] != before) and _ready(resource)

    asked = {"name": arguments.name, "params": params}
    return await _ask(options, arguments, documents.UPDATE_RESOURCE, asked, "update", settled)


async def adopt(options: Options, arguments: argparse.Namespace) -> int:
    """An orphan is looked after again."""

    def settled(resource: Json) -> bool:
        return bool(resource["standing"])

    asked = {"name": arguments.name}
    return await _ask(options, arguments, documents.ADOPT_RESOURCE, asked, "adopt", settled)


def _ready(resource: Json) -> bool:
    return word(resource["state"]) == "ready" and word(resource["health"]) == "healthy"


def _params(given: list[str]) -> Params:
    """`k=v` as the API has it. Raises InputError."""
    found: Params = []
    for text in given:
        name, there, value = text.partition("=")
        if not there or not name:
            raise InputError(f"{text!r} is no parameter", remedy="Write --param NAME=VALUE.")
        found.append({"name": name, "value": value})
    return found


async def _ask(
    options: Options,
    arguments: argparse.Namespace,
    document: str,
    asked: Json,
    verb: str,
    settled: Callable[[Json], bool],
) -> int:
    console, name = console_of(options), arguments.name
    async with client_of(options) as client:
        await client.mutate(document, {"world": options.world, **asked})
        until = time.monotonic() + WAITING
        while not arguments.no_wait and not settled(found := await _resource(client, options.world, name)):
            if word(found["state"]) == "failed" and found["reason"]:
                why = found["reason"]
                raise DeploydError(why["summary"], remedy=why["remedy"], evidence=why["evidence"])
            if time.monotonic() > until:
                raise DeploydError(
                    f"resource {name} is {word(found['state'])} after {WAITING:.0f} s; it goes on",
                    remedy=f"See how it stands: deployd resource show {name}",
                )
            await asyncio.sleep(AGAIN)
    done = {"create": "is ready", "update": "is updated", "adopt": "stands by itself"}[verb]
    if console.json:
        console.document({"resource": name, "asked": verb})
    else:
        console.say(
            f"resource {name}: {verb} is asked for" if arguments.no_wait else f"resource {name} {done}"
        )
    return ExitCode.DONE


async def show_one(options: Options, arguments: argparse.Namespace) -> int:
    """One resource in detail."""
    console = console_of(options)
    async with client_of(options) as client:
        found = await _resource(client, options.world, arguments.name)
    if console.json:
        console.document(found)
        return ExitCode.DONE
    by_itself = ", stands by itself" if found["standing"] else ""
    fields = [
        ("resource", found["name"]),
        ("world", found["world"]),
        ("slug", found["slug"]),
        ("type", found["type"]),
        ("state", word(found["state"])),
        ("health", console.paint(word(found["health"]), *health_style(found["health"]))),
        ("ownership", word(found["ownership"]) + by_itself),
        ("services", ", ".join(found["services"])),
        ("params", ", ".join(f"{one['name']}={one['value']}" for one in found["params"])),
        ("outputs", ", ".join(found["outputs"])),
        ("id", found["id"]),
    ]
    for title, value in fields:
        if value:
            console.say(f"{console.paint(f'{title:<10}', 'dim')}{value}")
    if reason := found["reason"]:
        console.say("")
        console.say(error_block(reason["summary"], reason["evidence"], reason["remedy"]))
    return ExitCode.DONE


async def _resource(client: Client, world: str, name: str) -> Json:
    """The living resource of this name. Raises NotFound."""
    found: Json | None = (await client.query(documents.RESOURCE, {"world": world, "name": name}))["resource"]
    if found is None:
        raise NotFound(
            f"world {world!r} has no resource {name!r}", remedy="See which there are: deployd resource list"
        )
    return found
