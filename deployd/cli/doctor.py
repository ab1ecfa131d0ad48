"""doctor: looks at the installation, and says what is wrong and what to do."""

from __future__ import annotations

import argparse
import asyncio
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict

from deployd import __version__
from deployd.cli import documents, examining
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode, ServerUnreachable
from deployd.cli.options import Options
from deployd.cli.session import console_of
from deployd.cli.terminal import Console, cells, clean
from deployd.errors import DeploydError, Forbidden, Unauthenticated
from deployd.model.finding import Finding, Level

__all__ = ["doctor", "lines", "looked"]

_MARKS = {Level.OK: ("✔", "green"), Level.WARNING: ("!", "yellow"), Level.WRONG: ("✘", "red")}
_WIDEST = 120
"""Cells of a line, however wide the terminal is."""


async def doctor(options: Options, arguments: argparse.Namespace) -> int:
    """Look at everything that can be looked at; 1 where something is wrong."""
    console = console_of(options)
    found = await _findings(options)
    wrong = [one for one in found if one.level is Level.WRONG]
    if console.json:
        console.document([asdict(one) for one in found])
        return ExitCode.FAILED if wrong else ExitCode.DONE
    width = min(console.size()[0], _WIDEST) if console.live else _WIDEST
    for line in lines(found, width, console):
        console.say(line)
    warnings = sum(one.level is Level.WARNING for one in found)
    console.say("")
    console.say(_sum(len(found), len(wrong), warnings))
    return ExitCode.FAILED if wrong else ExitCode.DONE


def _sum(number: int, wrong: int, warnings: int) -> str:
    if not wrong and not warnings:
        return f"{number} checks, all is well"
    return f"{number} checks: {wrong} wrong, {warnings} to look at"


def lines(found: Sequence[Finding], width: int, console: Console) -> list[str]:
    """Each finding: its mark, what was looked at, what was seen; below that what to do, if anything."""
    column = max(cells(one.check) for one in found)
    indent = column + 4
    told: list[str] = []
    for one in found:
        mark, style = _MARKS[one.level]
        first, *rest = _wrapped(one.summary, width - indent)
        head = f"{console.paint(mark, style)} {console.paint(f'{one.check:<{column}}', 'bold')}"
        told.append(f"{head}  {first}")
        told += [" " * indent + line for line in rest]
        for line in one.evidence.splitlines():
            told += [
                " " * (indent + 2) + console.paint(part, "dim") for part in _wrapped(line, width - indent - 2)
            ]
        if one.remedy:
            first, *rest = _wrapped(one.remedy, width - indent - 2)
            told.append(" " * indent + console.paint("→ ", style) + first)
            told += [" " * (indent + 2) + line for line in rest]
    return told


def _wrapped(text: str, width: int) -> list[str]:
    """Paths and commands stay whole, so that they can be copied."""
    return textwrap.wrap(
        clean(" ".join(text.split())), max(20, width), break_long_words=False, break_on_hyphens=False
    ) or [""]


async def _findings(options: Options) -> list[Finding]:
    """Of this host, and then of the server; without one, of what it would need."""
    settings, running = options.settings, options.local.running()
    here = options.server is None or options.server == options.local.url()
    found = [examining.python()]
    if here:
        pid = None if running is None else running.pid
        found += [
            looked("home", lambda: examining.home(settings)),
            looked("disk", lambda: examining.disk(settings)),
            looked("port", lambda: examining.port(settings, pid)),
            looked("key", lambda: examining.key(settings)),
            await asyncio.to_thread(examining.git),
        ]
    url, token = options.address()
    async with Client(url, token) as client:
        try:
            version = str((await client.query(documents.VERSION))["version"])
        except ServerUnreachable as error:
            found.append(_away(error, url, ours=here, pid=None if running is None else running.pid))
            return found + (list(await examining.database(settings)) if here else [])
        except (Unauthenticated, Forbidden) as error:
            found.append(Finding("server", Level.OK, f"it answers at {url}"))
            found.append(Finding("token", Level.WRONG, error.message, error.remedy))
            return found
        found.append(_version(version, url))
        if (seen := examining.clock(await client.date())) is not None:
            found.append(seen)
        return found + await _told(client)


def looked(name: str, check: Callable[[], Finding]) -> Finding:
    """What a check finds; that it may not even look is a finding as well."""
    try:
        return check()
    except OSError as error:
        said = f"{error.filename or 'this'} cannot be looked at: {error.strerror or error}"
        return Finding(name, Level.WRONG, said, "Run this as the user that deployd runs as.")


def _away(error: DeploydError, url: str, *, ours: bool, pid: int | None) -> Finding:
    if ours and pid is None:
        return Finding("server", Level.WRONG, "no server of this home runs", "Start one: deployd serve")
    if ours:
        return Finding(
            "server",
            Level.WRONG,
            f"process {pid} does not answer at {url}",
            f"See its log; end it by `kill {pid}`, and start it again: deployd serve",
            error.evidence,
        )
    return Finding(
        "server",
        Level.WRONG,
        f"nothing answers at {url}",
        "Check --server, and that it runs.",
        error.evidence,
    )


def _version(version: str, url: str) -> Finding:
    if version == __version__:
        return Finding("server", Level.OK, f"deployd {version} answers at {url}")
    return Finding(
        "server",
        Level.WARNING,
        f"deployd {version} answers at {url}; this command line is {__version__}",
        "Use the same version on both sides; a server that was upgraded has to be started again.",
    )


async def _told(client: Client) -> list[Finding]:
    """What the server finds."""
    try:
        data: Json = await client.query(documents.DOCTOR)
    except Forbidden as error:
        remedy = error.remedy or "Ask an operator."
        return [
            Finding("token", Level.WARNING, f"{error.message}: the server's own part is left out", remedy)
        ]
    except DeploydError as error:
        return [Finding("server", Level.WRONG, error.message, error.remedy, error.evidence)]
    return [
        Finding(one["check"], Level(one["level"].lower()), one["summary"], one["remedy"], one["evidence"])
        for one in data["doctor"]
    ]
