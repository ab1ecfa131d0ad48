"""token: create, list, revoke."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.render import age, table
from deployd.cli.session import client_of, console_of

__all__ = ["create", "list_", "revoke", "where"]


async def create(options: Options, arguments: argparse.Namespace) -> int:
    """A new token, whose value is shown this once: alone on stdout, so that it can be piped."""
    console = console_of(options)
    variables = {
        "name": arguments.name,
        "role": arguments.role.upper(),
        "worlds": arguments.only or None,
        "seconds": arguments.expires,
    }
    async with client_of(options) as client:
        made = await client.mutate(documents.CREATE_TOKEN, variables)
    if console.json:
        console.document({"value": made["value"], **made["token"]})
        return ExitCode.DONE
    token = made["token"]
    console.note(f"token {token['name']}: {_may(token)}, {_expires(token)}. It is shown this once:")
    console.say(made["value"])
    console.note("give it to a program as DEPLOYD_TOKEN, or by: deployd context set NAME --token-file PATH")
    return ExitCode.DONE


async def list_(options: Options, arguments: argparse.Namespace) -> int:
    """Who is known, and when each was last seen."""
    console = console_of(options)
    async with client_of(options) as client:
        tokens = (await client.query(documents.TOKENS, {"ended": arguments.all}))["tokens"]
    if console.json:
        console.document(tokens)
        return ExitCode.DONE
    now = datetime.now(UTC)
    rows = [
        [
            one["name"],
            word(one["role"]),
            ", ".join(one["worlds"]) if one["worlds"] is not None else "all",
            f"{age(one['lastUsedAt'], now)} ago" if one["lastUsedAt"] else "never",
            _expires(one),
            one["createdBy"] or "-",
        ]
        for one in tokens
    ]
    width = console.size()[0] if console.live else None
    header, *lines = table(["TOKEN", "ROLE", "WORLDS", "USED", "COUNTS", "BY"], rows, width, (5, 2, 0))
    console.say("\n".join([console.paint(header, "dim"), *lines]))
    return ExitCode.DONE


async def revoke(options: Options, arguments: argparse.Namespace) -> int:
    """It counts no more."""
    console = console_of(options)
    async with client_of(options) as client:
        gone = await client.mutate(documents.REVOKE_TOKEN, {"name": arguments.name})
    if console.json:
        console.document({name: value for name, value in gone.items() if name != "__typename"})
    else:
        console.say(f"token {arguments.name} counts no more")
    return ExitCode.DONE


def where(worlds: list[str] | None) -> str:
    """In which worlds a token counts."""
    if worlds is None:
        return "all worlds"
    return f"world{'' if len(worlds) == 1 else 's'} {', '.join(worlds)}"


def _may(token: Json) -> str:
    return f"{word(token['role'])} in {where(token['worlds'])}"


def _expires(token: Json) -> str:
    if token["revokedAt"]:
        return "revoked"
    if token["expiresAt"] is None:
        return "until revoked"
    at = datetime.fromisoformat(token["expiresAt"])
    if at <= datetime.now(UTC):
        return "expired"
    return f"until {at.astimezone():%Y-%m-%d %H:%M}"
