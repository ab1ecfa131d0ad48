"""logs: what a service wrote, and what it writes."""

from __future__ import annotations

import argparse
from collections import deque
from contextlib import aclosing

from deployd.cli import documents
from deployd.cli.client import PATIENCE, Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.render import clock
from deployd.cli.session import client_of, console_of, service_of
from deployd.cli.terminal import Console

__all__ = ["log_line", "logs"]

PAGE = 1000
"""Lines asked for at once."""


async def logs(options: Options, arguments: argparse.Namespace) -> int:
    """All lines or the last ones; with --follow those to come, and none of them missed."""
    console, world, name = console_of(options), options.world, arguments.service
    async with client_of(options) as client:
        await service_of(client, world, name)
        kept: deque[Json] = deque(maxlen=arguments.tail)
        cursor = None
        while True:
            batch = await _page(client, world, name, cursor, PATIENCE if arguments.follow else 0)
            cursor = batch["cursor"]
            if arguments.tail is None:
                _print(console, batch["lines"])
            else:
                kept.extend(batch["lines"])
            if not batch["lines"]:
                break
        _print(console, kept)
        if arguments.follow:
            stream = client.subscribe(
                documents.FOLLOW_LOGS,
                {"world": world, "service": name, "after": cursor},
                lost=lambda: console.complain("the server is away; trying again"),
            )
            async with aclosing(stream):
                async for batch in stream:
                    _print(console, batch["lines"])
    return ExitCode.DONE


async def _page(client: Client, world: str, service: str, after: str | None, patience: float) -> Json:
    variables = {"world": world, "service": service, "after": after, "first": PAGE}
    batch: Json = (await client.query(documents.LOGS, variables, patience=patience))["logs"]
    return batch


def _print(console: Console, lines: list[Json] | deque[Json]) -> None:
    for line in lines:
        if console.json:
            console.tell("line", **line)
        else:
            console.say(log_line(console, line))


def log_line(console: Console, line: Json, prefix: str = "") -> str:
    """The line with its time and, where several speak, who; colours of its own end with it."""
    text = line["text"].rstrip("\r\n")
    if "\x1b" in text:
        text += "\x1b[0m"
    return f"{console.paint(' '.join(filter(None, (clock(line['at']), prefix))), 'dim')} {text}"
