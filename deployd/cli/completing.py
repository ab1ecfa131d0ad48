"""The hidden verb `__complete KIND`: names for a shell, at once or not at all, and never an error."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Sequence

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.commands import KINDS
from deployd.cli.configuration import read
from deployd.cli.options import Options
from deployd.cli.progress import word

__all__ = ["complete"]

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
"""What no shell takes for anything but itself, whatever a server says."""
QUICK = 1.5
"""Seconds after which a shell gets nothing."""


def complete(argv: Sequence[str]) -> int:
    """Print the names of this kind, one a line."""
    try:  # somebody is typing: whatever goes wrong is said once the verb is run
        arguments = _parser().parse_args(argv)
        if arguments.kind == "contexts":
            names = list(read().places)
        else:
            names = asyncio.run(_ask(Options.of(arguments), arguments.kind))
    except (Exception, SystemExit):
        return 0
    for name in filter(_PLAIN.fullmatch, names):
        print(name)
    return 0


def _parser() -> argparse.ArgumentParser:
    one = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    one.add_argument("kind", choices=KINDS)
    for option in ("--world", "--server", "--context"):
        one.add_argument(option)
    one.set_defaults(json=False, no_color=True)
    return one


async def _ask(options: Options, kind: str) -> list[str]:
    async with asyncio.timeout(QUICK), Client(*options.address()) as client:
        if kind == "worlds":
            found = (await client.query(documents.WORLDS))["worlds"]
            return [one["name"] for one in found if one["retiredAt"] is None and one["name"] != "system"]
        if kind == "secrets":
            return _names((await client.query(documents.SECRETS, {"world": options.world}))["secrets"])
        if kind == "slugs":
            world = (await client.query(documents.SLUGS, {"world": options.world}))["world"]
            return [one["slug"] for one in world["slugs"]]
        document = documents.RESOURCES if kind == "resources" else documents.NAMES
        world = (await client.query(document, {"world": options.world}))["world"]
        return [
            one["name"] for one in world[kind]["nodes"] if word(one["state"]) not in ("retired", "deleted")
        ]


def _names(found: list[Json]) -> list[str]:
    return [str(one["name"]) for one in found]
