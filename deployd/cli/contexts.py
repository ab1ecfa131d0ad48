"""context: list, use, set, remove, show: which server and world are meant when nobody says so."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from deployd.cli.client import Json
from deployd.cli.configuration import Contexts, Place, check_name, check_server, read, write
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.render import table
from deployd.cli.session import console_of
from deployd.errors import InputError

__all__ = ["list_", "remove", "set_", "show", "use"]

_TOKEN_BYTES = 64 * 1024


def list_(options: Options, arguments: argparse.Namespace) -> int:
    """All of them; tokens are only said to be there."""
    console, contexts = console_of(options), read()
    if console.json:
        console.document([_shown(one, contexts) for one in contexts.places.values()])
    elif not contexts.places:
        console.say("there are no contexts; make one: deployd context set NAME --server URL")
    else:
        rows = [
            [
                "*" if one.name == contexts.current else "",
                one.name,
                one.server or "this host",
                one.world or "-",
                one.token_from,
            ]
            for one in contexts.places.values()
        ]
        width = console.size()[0] if console.live else None
        header, *lines = table(["", "CONTEXT", "SERVER", "WORLD", "TOKEN"], rows, width, (4, 2))
        console.say("\n".join([console.paint(header, "dim"), *lines]))
    return ExitCode.DONE


def use(options: Options, arguments: argparse.Namespace) -> int:
    """This one is meant from now on."""
    contexts = read()
    place = contexts.get(arguments.name)
    write(replace(contexts, current=place.name))
    return _say(options, place, replace(contexts, current=place.name), f"context {place.name} is in use")


def set_(options: Options, arguments: argparse.Namespace) -> int:
    """Make it, or change what is said of it."""
    contexts, name = read(), check_name(arguments.name)
    before = contexts.places.get(name, Place(name))
    place = before
    if arguments.server:
        place = replace(place, server=check_server(arguments.server, "Give one such as https://HOST."))
    if arguments.world:
        place = replace(place, world=arguments.world)
    given = [arguments.token_file, arguments.token_command, arguments.token_stdin or None]
    if sum(one is not None for one in given) > 1:
        raise InputError("several ways to one token", remedy="Give one of the three.")
    dropped = place.server != before.server and before.has_token
    if dropped or any(given):
        place = place.without_token()  # it was for the other server
    if arguments.token_file is not None:
        place = replace(place, token_file=str(Path(arguments.token_file).expanduser().absolute()))
    if arguments.token_command is not None:
        place = replace(place, token_command=_command(arguments.token_command))
    if arguments.token_stdin:
        place = replace(place, token=_typed(name))
    contexts = contexts.with_(place)
    write(contexts)
    say = f"context {name} is set" + (", and in use" if contexts.current == name else "")
    if dropped and not any(given):
        say += "\nits token was for the other server, and is forgotten"
    return _say(options, place, contexts, say)


def remove(options: Options, arguments: argparse.Namespace) -> int:
    """Forget one, with its token."""
    contexts = read()
    gone = contexts.get(arguments.name)
    left = contexts.without(arguments.name)
    write(left)
    return _say(options, gone, left, f"context {gone.name} is forgotten")


def show(options: Options, arguments: argparse.Namespace) -> int:
    """What holds now, and where each value comes from."""
    console, contexts = console_of(options), read()
    url = options.server or options.local.url()
    place = options.place if options.token is None else None
    token = options.origins["token"]
    if token == "this host":  # noqa: S105 - where one comes from
        here = url == options.local.url() and options.local.token() is not None
        token = f"file {options.settings.home / 'token'}" if here else "none"
    elif place is not None and place.has_token:
        token = f"{token}: {place.token_from}"
    name = getattr(arguments, "context", None) or (options.place.name if options.place else None)
    values: dict[str, dict[str, str | None]] = {
        "context": {"value": name, "from": options.origins["context"]},
        "server": {"value": url, "from": options.origins["server"]},
        "world": {"value": options.world, "from": options.origins["world"]},
        "token": {"value": None, "from": token},
    }
    if console.json:
        console.document({**values, "file": str(contexts.file)})
        return ExitCode.DONE
    for key, one in values.items():
        said = "(not shown)" if key == "token" and token != "none" else one["value"] or "-"  # noqa: S105
        console.say(f"{console.paint(f'{key:<9}', 'dim')}{said}  {console.paint(str(one['from']), 'dim')}")
    return ExitCode.DONE


def _say(options: Options, place: Place, contexts: Contexts, text: str) -> int:
    console = console_of(options)
    if console.json:
        console.document(_shown(place, contexts))
    else:
        console.say(text)
    return ExitCode.DONE


def _shown(place: Place, contexts: Contexts) -> Json:
    return {
        "name": place.name,
        "server": place.server,
        "world": place.world,
        "token": place.token_from,
        "current": place.name == contexts.current,
    }


def _command(text: str) -> tuple[str, ...]:
    try:
        command = tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"--token-command is no command: {error}") from error
    if not command:
        raise InputError("--token-command is empty", remedy="Give one such as 'pass show deployd'.")
    return command


def _typed(name: str) -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        token = getpass(f"token of {name} (not shown): ", stream=sys.stderr).strip()
    else:
        token = sys.stdin.read(_TOKEN_BYTES).strip()
    if not token or any(letter.isspace() for letter in token):
        raise InputError("there is no token on stdin", remedy="Pipe it in, alone: … | --token-stdin")
    return token
