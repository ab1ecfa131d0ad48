"""What verbs do again and again: connect, begin a deployment, find by name, wait for a condition."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from deployd.cli import documents
from deployd.cli.client import REPEATING, Client, Json
from deployd.cli.options import Options
from deployd.cli.paging import lists
from deployd.cli.terminal import Console
from deployd.errors import Conflict, DeploydError, InputError, NotFound

__all__ = [
    "begin",
    "client_of",
    "console_of",
    "cursor_of",
    "folder",
    "is_id",
    "latest",
    "service_of",
    "until",
]

AGAIN = 0.2
"""Seconds between two looks at a condition."""
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def console_of(options: Options) -> Console:
    """How this verb speaks."""
    return Console(json=options.json, color=False if options.no_color else None)


def client_of(options: Options) -> Client:
    """The connection to the server that is meant."""
    return Client(*options.address())


def folder(path: str) -> Path:
    """The folder, absolute. Raises InputError."""
    found = Path(path).expanduser().resolve()
    if not found.is_dir():
        raise InputError(
            f"{found} is {'no folder' if found.exists() else 'not there'}",
            remedy="Name the folder with deployd.yaml or Dockerfile.",
        )
    return found


async def cursor_of(client: Client, world: str) -> str:
    """The present end of the world's transitions. Raises NotFound."""
    data = await client.query(documents.WORLD, {"world": world})
    if data["world"] is None:
        raise NotFound(f"there is no world {world!r}", remedy="Name another by --world or DEPLOYD_WORLD.")
    return str(data["world"]["cursor"])


async def begin(
    client: Client,
    world: str,
    source: Json,
    services: list[str],
    key: str | None = None,
    *,
    document: str = documents.DEPLOY,
) -> str:
    """Ask for a deployment of the source (fields of DeployInput), exactly once; the change's id.

    `document`: that of a plan, where nothing more is wanted.
    """
    request = {"world": world, **source, "services": services, "idempotencyKey": key or uuid.uuid4().hex}
    change = await client.mutate(document, {"input": request})
    return str(change["id"])


async def service_of(client: Client, world: str, name: str) -> Json:
    """The living service of this name. Raises NotFound."""
    data = await client.query(documents.SERVICE, {"world": world, "name": name})
    if data["service"] is None:
        raise NotFound(
            f"world {world!r} has no service {name!r}", remedy="See which there are: deployd status"
        )
    service: Json = lists(data["service"])
    return service


def is_id(text: str) -> bool:
    """Whether it looks like the id of a machine, which no name does."""
    return _ID.fullmatch(text) is not None


async def latest(client: Client, world: str, id_or_name: str) -> str:
    """An id as it is; for a service's name the id of its latest deployment. Raises NotFound, Conflict."""
    if is_id(id_or_name):
        return id_or_name
    data = await client.query(documents.HISTORY, {"world": world, "name": id_or_name, "first": 1})
    if data["service"] is None:
        raise NotFound(
            f"{id_or_name!r} is no id, and world {world!r} has no service of this name",
            remedy="See which there are: deployd status",
        )
    deployments = lists(data["service"]["deployments"])
    if not deployments:
        raise Conflict(f"service {id_or_name} has no deployment yet")
    return str(deployments[0]["id"])


async def until(
    client: Client,
    world: str,
    names: list[str],
    settled: Callable[[Json | None], bool],
    *,
    seconds: float,
    patience: float = REPEATING,
) -> dict[str, Json | None]:
    """Look at the services until each is settled, or the time is over; those that are not, by name."""
    ending = time.monotonic() + seconds
    waiting: dict[str, Json | None] = dict.fromkeys(names)
    while waiting:
        for name in list(waiting):
            try:
                data = await client.query(
                    documents.SERVICE, {"world": world, "name": name}, patience=patience
                )
                waiting[name] = lists(data["service"])
            except NotFound:
                waiting[name] = None
            if settled(waiting[name]):
                del waiting[name]
        if not waiting or time.monotonic() > ending:
            break
        await asyncio.sleep(AGAIN)
    return waiting


def stuck(waiting: dict[str, Json | None], what: str, seconds: float) -> DeploydError:
    """What to say of services that have not become what they should."""
    name, service = next(iter(waiting.items()))
    reason = (service or {}).get("reason") or {}
    state = (service or {}).get("state", "gone")
    return DeploydError(
        f"{', '.join(waiting)} {'is' if len(waiting) == 1 else 'are'} not {what} within {seconds:.0f} s",
        evidence=f"{name} is {str(state).lower()}" + (f": {reason['summary']}" if reason else ""),
        remedy=reason.get("remedy") or f"See how it stands: deployd status {name}",
    )
