"""plan: show what deploying would do, and do nothing."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from deployd.cli import documents
from deployd.cli.client import PATIENCE, Client, Json
from deployd.cli.deploying import source_of
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.planned import changes, counted, legend, plan_lines, summary
from deployd.cli.progress import word
from deployd.cli.pushing import upload
from deployd.cli.render import SPINNER
from deployd.cli.session import begin, client_of, console_of, cursor_of
from deployd.cli.terminal import Console, Region, error_block
from deployd.errors import NotFound
from deployd.model.state import ChangeState

__all__ = ["plan"]

AGAIN = 0.1
"""Seconds between two looks at whether it has planned."""


async def plan(options: Options, arguments: argparse.Namespace) -> int:
    """Plan a folder of this host, or a git repository."""
    console = console_of(options)
    source, shown = source_of(arguments)
    async with client_of(options) as client:
        await cursor_of(client, options.world)  # a wrong world or token is told before anything is sent
        if (directory := source.get("directory")) is not None and not options.here:
            source = await upload(client, console, options.world, Path(directory))
        source["everything"] = arguments.all
        change_id = await begin(client, options.world, source, arguments.service, document=documents.PLAN)
        change = await _planned(client, console, change_id, shown)
    return _tell(console, change, options.world, arguments)


async def _planned(client: Client, console: Console, change_id: str, shown: str) -> Json:
    """The change, once it has ended."""
    region, look = Region(console), 0
    try:
        while True:
            data = await client.query(documents.CHANGE, {"id": change_id}, patience=PATIENCE)
            change: Json | None = data["change"]
            if change is None:
                raise NotFound(f"there is no change {change_id}")
            if change["finished"]:
                return change
            if console.live:
                region.draw([f"{SPINNER[look % len(SPINNER)]} planning {shown}"])
            look += 1
            await asyncio.sleep(AGAIN)
    finally:
        region.close()


def _tell(console: Console, change: Json, world: str, arguments: argparse.Namespace) -> int:
    items, state, reason = change["planItems"], word(change["state"]), change["reason"]
    code = ExitCode.DONE
    if state != ChangeState.PLANNED:
        code = ExitCode.CANCELLED if state == ChangeState.CANCELLED else ExitCode.FAILED
    elif arguments.exit_code and changes(items):
        code = ExitCode.DIFFERS
    if console.json:
        console.document(_document(change, world))
    elif state != ChangeState.PLANNED:
        told = reason or {"summary": f"the change is {state}", "evidence": "", "remedy": ""}
        console.complain(
            error_block(f"the plan {state}: {told['summary']}", told["evidence"], told["remedy"])
        )
    else:
        width = console.size()[0] if console.live else None
        lines = plan_lines(items, width, console.paint, unchanged=arguments.unchanged)
        console.say("\n".join([*lines, *([""] if lines else []), console.paint(summary(items), "bold")]))
        if marks := legend(items):
            console.say(console.paint(f"{marks}; nothing was done", "dim"))
    return code


def _document(change: Json, world: str) -> Json:
    items = [{**one, "kind": word(one["kind"]), "action": word(one["action"])} for one in change["planItems"]]
    sources = ("directory", "repository", "ref", "commit", "tree")
    return {
        "change": change["id"],
        "world": world,
        "state": word(change["state"]),
        "source": {name: change[name] for name in sources},
        "items": items,
        "summary": counted(change["planItems"]),
        "approval": any(one["approval"] for one in items),
        "planHash": change["planHash"],
        "reason": change["reason"],
    }
