"""explain: what a code or a key of the manifest means. Asks no server."""

from __future__ import annotations

import argparse
import difflib
from dataclasses import asdict
from textwrap import fill

from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.session import console_of
from deployd.cli.terminal import Console
from deployd.errors import NotFound
from deployd.manifest.explained import KeyEntry, explain_key
from deployd.model.code import CODES, Code

__all__ = ["explain"]

_WIDEST = 100
"""Cells: longer lines are hard to read."""


def explain(options: Options, arguments: argparse.Namespace) -> int:
    """The entry of the table of codes, or of the manifest's page."""
    console, name = console_of(options), arguments.what
    if name.isupper() or name.upper() in CODES or ("_" in name and "." not in name):
        code = CODES.get(name.upper())
        if code is None:
            near = difflib.get_close_matches(name.upper(), list(CODES), n=1)
            raise NotFound(
                f"there is no code {name!r}",
                remedy=f"Did you mean {near[0]}?" if near else "See docs/reasons.md.",
            )
        _tell_code(console, code)
    else:
        _tell_key(console, explain_key(name))
    return ExitCode.DONE


def _tell_code(console: Console, code: Code) -> None:
    if console.json:
        console.document(asdict(code))
        return
    width = min(console.size()[0], _WIDEST)
    console.say(console.paint(code.code, "bold"))
    console.say(fill(code.meaning, width, initial_indent="  ", subsequent_indent="  "))
    if code.remedy:
        console.say(fill(f"what to do: {code.remedy}", width, subsequent_indent="    "))
    fault = {"failed": "the work said no", "errored": "the machinery could not do it"}
    if code.fault is not None:
        console.say(f"fault: {code.fault} ({fault[code.fault]})")
    if code.about:
        console.say(f"said of: {', '.join(code.about)}")


def _tell_key(console: Console, entry: KeyEntry) -> None:
    if console.json:
        console.document(asdict(entry))
        return
    width = min(console.size()[0], _WIDEST)
    console.say(f"{console.paint(entry.path, 'bold')}: {entry.what}")
    console.say(fill(entry.about, width, initial_indent="  ", subsequent_indent="  "))
    if entry.default:
        console.say(fill(f"default: {entry.default}", width, subsequent_indent="    "))
    if entry.keys:
        console.say("")
        column = min(max(len(one) for one in entry.keys), 24)
        for name, about in entry.keys.items():
            head = f"  {name:<{column}}  "
            console.say(fill(about, width, initial_indent=head, subsequent_indent=" " * len(head)))
    if entry.example:
        console.say("")
        for line in entry.example.splitlines():
            console.say(console.paint(f"    {line}", "dim"))
