"""why: the chain from what somebody asked for to the root cause, what to do, and what comes next."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.render import age, duration
from deployd.cli.session import client_of, console_of
from deployd.cli.terminal import Console, cells, clean, cut
from deployd.errors import NotFound

__all__ = ["quoted", "why"]

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+)(:[0-9]+)?")
_LARGEST = 1024 * 1024
"""Bytes of a file of which a line is quoted."""
_MARKS = {"well": ("✔", "green"), "working": ("…", "cyan"), "unwell": ("✘", "red")}


async def why(options: Options, arguments: argparse.Namespace) -> int:
    """Of a service, a resource, or whatever has the id."""
    console = console_of(options)
    async with client_of(options) as client:
        found = await _ask(client, options.world, arguments.id)
    if console.json:
        console.document(found)
    else:
        tell(console, found, datetime.now(UTC), quotes=options.server is None)
    return ExitCode.DONE


async def _ask(client: Client, world: str, name: str) -> Json:
    """The explanation. Raises NotFound."""
    if _ID.fullmatch(name):
        data = await client.query(documents.WHY, {"id": name})
        if (found := data["why"]) is not None:
            return dict(found)
        raise NotFound(f"there is nothing with the id {name}", remedy="See: deployd history SERVICE")
    data = await client.query(documents.WHY_NAMED, {"world": world, "name": name})
    thing = data["service"] or data["resource"]
    if thing is None:
        raise NotFound(
            f"world {world!r} has no service and no resource {name!r}",
            remedy="See which there are: deployd status",
        )
    return dict(thing["why"])


def tell(console: Console, found: Json, now: datetime, *, quotes: bool) -> None:
    """The explanation for people; `quotes`: its folder is on this host."""
    width = console.size()[0] if console.live else None
    verdict = word(found["verdict"])
    mark, style = _MARKS[verdict]
    _headed(
        console,
        f"{console.paint(mark, style)} ",
        found["summary"],
        f"(for {age(found['since'], now)})",
        width,
    )
    directory = found["directory"] if quotes else None
    steps = found["steps"]
    cause = found["cause"]
    root = next((one for one in reversed(steps) if cause and one["reason"] == cause), None)
    asked = steps and steps[0]["subject"] == found["subject"]  # what the first line says of it is enough
    for depth, step in enumerate(steps, 0 if asked else 1):
        lead = "  " * depth
        if depth:
            _headed(console, f"{lead[2:]}└ ", step["summary"], f"({age(step['since'], now)} ago)", width)
        reason = step["reason"]
        same = cause and reason and reason["code"] == cause["code"]
        if reason is not None and (step is root or not same):
            until = datetime.fromisoformat(step["since"])
            _tell_reason(console, reason, f"{lead}  ", width, directory if step is root else None, until)
    remedy = cause["remedy"] if cause else ""
    for name, text in (
        ("what to do", remedy),
        ("meanwhile", _meanwhile(found, now)),
        ("next", _next(found, now)),
    ):
        if text:
            _labelled(console, name, text, width)


def _headed(console: Console, lead: str, text: str, when: str, width: int | None) -> None:
    """A line, and where that is too long more of them; its time ends the last."""
    first, *others = _wrapped(f"{text} {when}", width, 2)
    for number, line in enumerate([first, *others]):
        indent = " " * cells(lead) if number else lead
        console.say(f"{indent}{line.replace(when, console.paint(when, 'dim'))}")


def _tell_reason(
    console: Console, reason: Json, lead: str, width: int | None, directory: str | None, until: datetime
) -> None:
    text = f"{reason['summary']} [{reason['code']}]"
    for line in _wrapped(text, width, len(lead)):
        console.say(f"{lead}{console.paint(line, 'red')}")
    for line in reason["evidence"].strip("\n").splitlines():
        for part in _wrapped(line, width, len(lead) + 4):
            console.say(f"{lead}    {part}")
    if reason["where"]:
        console.say(f"{lead}at {reason['where']}")
        if directory is not None and (quote := quoted(Path(directory), reason["where"], until)):
            console.say(
                console.paint(cut(f"{lead}    {quote}", width) if width else f"{lead}    {quote}", "dim")
            )


def quoted(directory: Path, where: str, until: datetime) -> str | None:
    """The line that a place names: `4 │ run: python -m cart`; None where it is gone, or edited since."""
    found = _PLACE.fullmatch(where)
    if found is None:
        return None
    file, number = directory / found["file"], int(found["line"])
    try:
        if not file.resolve().is_relative_to(directory.resolve()) or file.stat().st_size > _LARGEST:
            return None
        if file.stat().st_mtime > until.timestamp():
            return None
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return f"{number} │ {clean(lines[number - 1])}" if 0 < number <= len(lines) else None


def _labelled(console: Console, name: str, text: str, width: int | None) -> None:
    first, *others = _wrapped(f"{name}: {text}", width, 4)
    console.say(first.replace(f"{name}:", console.paint(f"{name}:", "bold"), 1))
    for line in others:
        console.say(f"    {line}")


def _wrapped(text: str, width: int | None, indent: int) -> list[str]:
    """Lines that fit behind an indent; as they are where nobody looks."""
    lines = [clean(one) for one in text.splitlines()] or [""]
    if width is None:
        return lines
    room = max(20, width - indent)
    return [
        part
        for line in lines
        for part in wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
    ]


def _meanwhile(found: Json, now: datetime) -> str:
    made = f" (made {age(found['meanwhileSince'], now)} ago)" if found["meanwhileSince"] else ""
    return f"{found['meanwhile']}{made}" if found["meanwhile"] else ""


def _next(found: Json, now: datetime) -> str:
    if not found["next"]:
        return ""
    text = str(found["next"])
    if found["nextAt"]:
        text += f", {_in(found['nextAt'], now)}"
    if found["deadlineAt"]:
        text += f"; gives up {_in(found['deadlineAt'], now)}"
    return text


def _in(at: str, now: datetime) -> str:
    seconds = (datetime.fromisoformat(at) - now).total_seconds()
    return f"in {duration(seconds)}" if seconds > 0.5 else "at once"
