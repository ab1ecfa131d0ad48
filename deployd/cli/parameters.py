"""Options and arguments that several verbs take, and the verbs below a noun."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["Verb", "common", "count", "duration", "machine", "no_wait", "parts", "services", "source"]

Verb = Callable[..., argparse.ArgumentParser]
"""Adds a verb: its name, its `module:function`, what it does in a few words, and in more."""


def common(default: str | None = None) -> argparse.ArgumentParser:
    """The options of every verb."""
    made = argparse.ArgumentParser(add_help=False, argument_default=default)
    group = made.add_argument_group("common options")
    group.add_argument(
        "--world", metavar="NAME", help="the world (DEPLOYD_WORLD, else the context's, else local)"
    )
    group.add_argument(
        "--server", metavar="URL", help="the server (DEPLOYD_SERVER, else the context's, else this host's)"
    )
    group.add_argument("--context", metavar="NAME", help="the context that says which (else the one in use)")
    group.add_argument(
        "--json",
        action="store_true",
        help="for programs: one document, or one object a line for what is live",
    )
    group.add_argument("--no-color", action="store_true", help="no colours (also: NO_COLOR)")
    return made


def parts(one: argparse.ArgumentParser) -> Verb:
    """The verbs below a noun: `world create`."""
    below = one.add_subparsers(title="verbs", metavar="VERB", required=True)
    # What is said before the second verb holds; these options have no defaults that would replace it.
    shared = common(argparse.SUPPRESS)

    def part(name: str, run: str, text: str, description: str = "") -> argparse.ArgumentParser:
        made = below.add_parser(
            name,
            help=text,
            description=description or f"{text[0].upper()}{text[1:]}.",
            parents=[shared],
            allow_abbrev=False,
        )
        made.set_defaults(run=f"deployd.cli.{run}")
        return made

    return part


def machine(one: argparse.ArgumentParser) -> None:
    """Which deployment or change."""
    one.add_argument("id", metavar="ID", help="its id, or a service's name for that one's latest deployment")


def source(one: argparse.ArgumentParser) -> None:
    """What is deployed."""
    one.add_argument("path", nargs="?", metavar="PATH", help="the folder (else the present one)")
    one.add_argument("--git", metavar="URL", help="a repository instead: file://, https://, ssh://, a path")
    one.add_argument("--ref", metavar="REF", help="its branch, tag or commit (else its default branch)")


def services(one: argparse.ArgumentParser) -> None:
    """Which services of it."""
    which = one.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all services, those too that serve this already")
    which.add_argument(
        "--service", action="append", default=[], metavar="NAME", help="only this one; may be repeated"
    )


def no_wait(one: argparse.ArgumentParser) -> None:
    """Whether somebody stays to see the end."""
    one.add_argument("--no-wait", action="store_true", help="return as soon as it is asked for")


def duration(text: str) -> int:
    """Seconds, of `90s`, `15m`, `12h` or `30d`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if not (unit in units and number.isascii() and number.isdecimal() and int(number) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 90s, 15m, 12h or 30d")
    return int(number) * units[unit]


def count(text: str) -> int:
    """A number from 1 on."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
