"""maintenance: when each duty ran, what it did, when it runs next; and doing them now."""

from __future__ import annotations

import argparse
import textwrap
from datetime import UTC, datetime

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.render import age, duration, moment, table
from deployd.cli.session import client_of, console_of
from deployd.cli.terminal import Console, clean
from deployd.errors import InputError

__all__ = ["maintenance"]

_WIDEST = 120
"""Cells of a line, however wide the terminal is."""
_STYLES = {"done": "green", "unfinished": "yellow", "failed": "red"}


async def maintenance(options: Options, arguments: argparse.Namespace) -> int:
    """Show the duties; or do them, or say what they would do. 1 where one failed."""
    console = console_of(options)
    async with client_of(options) as client:
        if not (arguments.run_now or arguments.dry_run):
            found = (await client.query(documents.MAINTENANCE))["maintenance"]
            return _show(console, _named(found, arguments.duties))
        asked = {"duties": arguments.duties, "dryRun": arguments.dry_run}
        done = await client.mutate(documents.MAINTAIN, asked)
    runs = done["runs"]
    if console.json:
        console.document({"dryRun": done["dryRun"], "runs": runs})
    else:
        _tell(console, runs, dry_run=done["dryRun"])
    return ExitCode.FAILED if any(one["outcome"] == "FAILED" for one in runs) else ExitCode.DONE


def _named(found: list[Json], names: list[str]) -> list[Json]:
    """Those that were asked for; all where nobody asked. Raises InputError."""
    there = list(dict.fromkeys(one["name"] for one in found))
    for name in names:
        if name not in there:
            raise InputError(f"there is no duty {name!r}", remedy=f"There are: {', '.join(there)}.")
    return [one for one in found if not names or one["name"] in names]


def _show(console: Console, found: list[Json]) -> int:
    if console.json:
        console.document(found)
        return ExitCode.DONE
    now = datetime.now(UTC)
    rows = [
        [
            one["name"],
            one["host"] or "-",
            "now" if one["running"] else _ago(one["lastRunAt"], now),
            _next(one["nextRunAt"]),
            word(one["lastOutcome"]) if one["lastOutcome"] else "-",
            clean(one["lastSummary"]) or "-",
        ]
        for one in found
    ]
    width = min(console.size()[0], _WIDEST) if console.live else None
    header, *lines = table(
        ["DUTY", "HOST", "LAST RUN", "NEXT RUN", "OUTCOME", "WHAT IT DID"], rows, width, (5,)
    )
    console.say(console.paint(header, "dim"))
    for line in lines:
        console.say(line)
    return ExitCode.DONE


def _ago(at: str | None, now: datetime) -> str:
    return "never" if at is None else f"{age(at, now)} ago"


def _next(at: str | None) -> str:
    return "-" if at is None else moment(at)


def _tell(console: Console, runs: list[Json], *, dry_run: bool) -> None:
    column = max(len(one["name"]) for one in runs) if runs else 0
    width = min(console.size()[0], _WIDEST) if console.live else _WIDEST
    for one in runs:
        outcome = word(one["outcome"])
        summary = clean(one["summary"])
        took = "" if dry_run else f" ({duration(one['seconds'])})"
        said = f"would go: {summary}" if dry_run and summary != "nothing to do" else summary
        if outcome != "done":
            said = f"{outcome}: {said}"
        first, *rest = textwrap.wrap(said + took, max(20, width - column - 2)) or [""]
        name = console.paint(f"{one['name']!s:<{column}}", "bold", _STYLES[outcome])
        console.say(f"{name}  {first}")
        for line in rest:
            console.say(" " * (column + 2) + line)
