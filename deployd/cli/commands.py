"""The verbs with their options and arguments as data, read off the parser: for shells and docs/cli.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from deployd.cli.arguments import parser

__all__ = ["KINDS", "Command", "Option", "commands"]

KINDS = ("services", "worlds", "contexts", "resources", "slugs", "secrets")
"""What a shell completes by asking the server, or the contexts' file."""
_OF_OPTIONS = {"--world": "worlds", "--like": "worlds", "--only": "worlds", "--context": "contexts"}
_OF_OPTIONS |= {"--service": "services", "--file": "files", "--token-file": "files", "-f": "files"}
_OF_OPTIONS |= {"--params": "files", "--slug": "slugs"}
_OF_METAVARS = {"SERVICE": "services", "SERVICE|ID": "services", "ID": "services", "SLUG": "slugs"}
_OF_METAVARS |= {"WORLD": "worlds", "PATH": "files", "FILE": "files"}
_OF_NOUNS = {"world": "worlds", "resource": "resources", "secret": "secrets", "context": "contexts"}
_OF_NOUNS |= {"service": "services"}


@dataclass(frozen=True, slots=True)
class Option:
    """An option, or an argument by its place (which has no flags)."""

    flags: tuple[str, ...]
    metavar: str
    help: str
    takes_value: bool = True
    many: bool = False
    """An argument that takes whatever comes."""
    needed: bool = False
    choices: tuple[str, ...] = ()
    kind: str = ""
    """What a value is: one of KINDS, `files`, or nothing that is known."""


@dataclass(frozen=True, slots=True)
class Command:
    """A verb, or a noun with verbs of its own; the one without a path is the program itself."""

    path: tuple[str, ...]
    help: str
    description: str
    options: tuple[Option, ...]
    arguments: tuple[Option, ...]
    verbs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.path)


def commands() -> list[Command]:
    """All of them, each before those below it, in the order of `--help`."""
    return list(_walk(parser(), (), ""))


def _walk(one: argparse.ArgumentParser, path: tuple[str, ...], text: str) -> Iterator[Command]:
    options: list[Option] = []
    arguments: list[Option] = []
    below: argparse._SubParsersAction[argparse.ArgumentParser] | None = None
    for action in one._actions:  # noqa: SLF001 - argparse has no other way to read a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            below = action
        elif action.help is not argparse.SUPPRESS:
            (options if action.option_strings else arguments).append(_option(action, path))
    verbs = {} if below is None else dict(below.choices)
    yield Command(
        path,
        text,
        one.description or "",
        tuple(options),
        tuple(arguments),
        tuple(verbs),
    )
    if below is None:
        return
    helps = {each.dest: each.help or "" for each in below._choices_actions}  # noqa: SLF001
    for name, inner in verbs.items():
        yield from _walk(inner, (*path, name), helps.get(name, ""))


def _option(action: argparse.Action, path: tuple[str, ...]) -> Option:
    flags = tuple(action.option_strings)
    choices = tuple(map(str, action.choices or ()))
    metavar = str(action.metavar or ("|".join(choices) if choices else action.dest.upper()))
    kind = next((_OF_OPTIONS[one] for one in flags if one in _OF_OPTIONS), "")
    if not flags:
        kind = _OF_METAVARS.get(metavar, _OF_NOUNS.get(path[0], "") if metavar == "NAME" else "")
        if path[-1:] in (("create",), ("gate",)) or path == ("context", "set"):
            kind = "contexts" if path[0] == "context" else ""  # a name that is not there yet
    return Option(
        flags,
        metavar,
        (action.help or "") % {"default": action.default, "prog": "deployd"},
        takes_value=action.nargs != 0,
        many=action.nargs in ("*", "+"),
        needed=bool(not flags and action.nargs not in ("?", "*")),
        choices=choices,
        kind=kind,
    )
