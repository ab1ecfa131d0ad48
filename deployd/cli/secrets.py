"""secret set, secret list, secret unset: values that only services see.

A value is never an argument: those are seen by everybody who lists the processes of the host, and kept by
the shell's history.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.render import age, table
from deployd.cli.session import client_of, console_of
from deployd.errors import InputError
from deployd.model.secret import SECRET_BYTES, SECRET_NAME

__all__ = ["list_", "set_", "unset"]


def set_(options: Options, arguments: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Keep a value, and say which services get it.

    What blocks (a pipe, a person) is read before there is an event loop, so that Ctrl-C ends it at once.
    """
    name = arguments.name
    if arguments.value or "=" in name:
        raise InputError(
            "a secret's value is no argument: whoever lists this host's processes, or reads the shell's "
            "history, would see it",
            remedy="Pipe it in, name its file by --file PATH, or type it when asked. If what you wrote was "
            "the real one, take it out of your shell's history, or take a new one.",
        )
    if not SECRET_NAME.fullmatch(name):
        raise InputError(
            "this is no name of a secret",
            remedy="Take up to 63 letters, digits, _ and -, the first one a letter or _.",
        )
    return _set(options, name, _value(name, arguments.file))


async def _set(options: Options, name: str, value: str) -> int:
    console = console_of(options)
    async with client_of(options) as client:
        secret = await client.mutate(
            documents.SET_SECRET, {"world": options.world, "name": name, "value": value}
        )
    if console.json:
        console.document(_shown(secret))
        return ExitCode.DONE
    console.say(f"secret {name} is set in world {options.world}")
    if secret["services"]:
        console.say(f"services get it at their next deployment: {', '.join(secret['services'])}")
    else:
        console.say(f"no service refers to it yet: in deployd.yaml, env: {{KEY: ${{secrets.{name}}}}}")
    return ExitCode.DONE


async def list_(options: Options, arguments: argparse.Namespace) -> int:
    """The names, and who refers to them."""
    console = console_of(options)
    async with client_of(options) as client:
        secrets = (await client.query(documents.SECRETS, {"world": options.world}))["secrets"]
    if console.json:
        console.document([_shown(one) for one in secrets])
    elif not secrets:
        console.say(f"world {options.world} has no secrets; see: deployd secret set --help")
    else:
        now = datetime.now(UTC)
        rows = [
            (one["name"], age(one["setAt"], now), one["setBy"], ", ".join(one["services"]) or "-")
            for one in secrets
        ]
        width = console.size()[0] if console.out.isatty() else None
        header, *lines = table(["NAME", "SET", "BY", "SERVICES"], rows, width, (3, 2, 0))
        console.say("\n".join([console.paint(header, "dim"), *lines]))
    return ExitCode.DONE


async def unset(options: Options, arguments: argparse.Namespace) -> int:
    """Forget a value."""
    console, name = console_of(options), arguments.name
    async with client_of(options) as client:
        secret = await client.mutate(documents.UNSET_SECRET, {"world": options.world, "name": name})
    if console.json:
        console.document(_shown(secret))
        return ExitCode.DONE
    console.say(f"secret {name} is forgotten in world {options.world}; what runs keeps what it was given")
    if secret["services"]:
        console.say(f"these refer to it, and cannot be deployed without: {', '.join(secret['services'])}")
    return ExitCode.DONE


def _shown(secret: Json) -> Json:
    return {key: secret[key] for key in ("name", "setAt", "setBy", "services")}


def _value(name: str, file: str | None) -> str:
    """From the file, as it is; else what is piped in or typed, without the newline at its end."""
    if file is not None:
        try:
            with Path(file).open("rb") as opened:
                content = opened.read(SECRET_BYTES + 1)
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}") from error
    elif sys.stdin.isatty():
        from getpass import getpass

        typed = getpass(f"value of {name} (not shown): ", stream=sys.stderr)
        content = typed.encode(errors="surrogateescape")
    else:
        content = sys.stdin.buffer.read(SECRET_BYTES + 3)
        content = content.removesuffix(b"\n").removesuffix(b"\r")
    if len(content) > SECRET_BYTES:
        raise InputError(f"the value of {name} is longer than {SECRET_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(
            f"the value of {name} is no text in UTF-8", remedy="Encode it: base64 FILE | deployd secret set …"
        ) from None
