"""deploy, rollback, retry: ask for a deployment, and follow it."""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import aclosing
from pathlib import Path

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.follow import conclude, follow_change, follow_deployment, view
from deployd.cli.holds import held
from deployd.cli.options import Options
from deployd.cli.progress import word
from deployd.cli.releases import release_of
from deployd.cli.session import begin, client_of, console_of, cursor_of, folder, latest, service_of, until
from deployd.cli.terminal import Console
from deployd.errors import DeploydError, InputError
from deployd.sources import check_repository

__all__ = ["deploy", "deploy_source", "retry", "rollback", "source_of"]

TAKING_OVER = 10.0
"""Seconds within which a service takes over from a deployment that ended."""
BEGINNING = 30.0
"""Seconds within which what was asked for has to begin."""


async def deploy(options: Options, arguments: argparse.Namespace) -> int:
    """Deploy a folder of this host, or a git repository."""
    source, shown = source_of(arguments)
    async with client_of(options) as client:
        source["everything"] = arguments.all
        return await deploy_source(client, options, arguments, source, f"reading {shown}")


async def deploy_source(
    client: Client, options: Options, arguments: argparse.Namespace, source: Json, doing: str
) -> int:
    """Ask for it and follow it. `doing` is shown until more is known."""
    console = console_of(options)
    after = await cursor_of(client, options.world)
    change_id = await begin(client, options.world, source, arguments.service)
    _asked(console, "change", change_id)
    if arguments.no_wait:
        return ExitCode.DONE
    try:
        shown = view(console, doing)
        return conclude(console, await follow_change(client, options.world, after, change_id, shown))
    except asyncio.CancelledError:
        console.complain(f"it goes on; to end it: deployd cancel {change_id}")
        raise


def source_of(arguments: argparse.Namespace) -> tuple[Json, str]:
    """The source as DeployInput has it, and as people know it. Raises InputError."""
    if arguments.git is None:
        if arguments.ref is not None:
            raise InputError("--ref is for --git only", remedy="Name the repository by --git.")
        directory = folder("." if arguments.path is None else arguments.path)
        return {"directory": str(directory)}, str(directory)
    if arguments.path is not None:
        raise InputError("a folder and a repository at once", remedy="Give either PATH or --git.")
    url = arguments.git
    if "://" not in url and ((local := Path(url).expanduser()).exists() or url.startswith((".", "~"))):
        url = str(local.resolve())
    check_repository(url)  # here too: what is refused for its password goes nowhere
    return {"repository": {"url": url, "ref": arguments.ref}}, url


async def rollback(options: Options, arguments: argparse.Namespace) -> int:
    """Make a service serve an earlier release."""
    console, world, name = console_of(options), options.world, arguments.service
    async with client_of(options) as client:
        after = await cursor_of(client, world)
        service = await service_of(client, world, name)
        release = await release_of(client, world, name, arguments.to) if arguments.to is not None else None
        await _warn(console, client, world, name, release)
        await client.mutate(documents.ROLLBACK, {"world": world, "service": name, "release": release})
        code = await _follow_next(console, client, world, after, service["id"], arguments)
        if code == ExitCode.DONE and not arguments.no_wait and not console.json:
            for line in held(await service_of(client, world, name)):
                console.say(console.paint(f"held: {line}; to lift it: deployd hold {name} --lift", "dim"))
        return code


async def _warn(console: Console, client: Client, world: str, name: str, release: str | None) -> None:
    """What going back does not undo, before anything is done."""
    asked = {"world": world, "service": name, "release": release}
    data = await client.query(documents.ROLLBACK_WARNINGS, asked)
    for line in data["service"]["rollbackWarnings"] if data["service"] else ():
        if console.json:
            console.tell("warning", text=line)
        else:
            console.say(console.paint(f"{name}: {line}", "yellow"))


async def retry(options: Options, arguments: argparse.Namespace) -> int:
    """Try a deployment once more, as a new one."""
    console, world = console_of(options), options.world
    async with client_of(options) as client:
        after = await cursor_of(client, world)
        machine = await client.mutate(documents.RETRY, {"id": await latest(client, world, arguments.id)})
        if machine["__typename"] != "Deployment":
            if console.json:
                _asked(console, machine["__typename"].lower(), machine["id"])
            else:
                console.say(f"{machine['__typename'].lower()} {machine['id']} tries again now")
            return ExitCode.DONE
        if not machine["finished"]:  # its present act is tried again at once
            _asked(console, "deployment", machine["id"])
            if arguments.no_wait:
                return ExitCode.DONE
            shown = view(console, "")
            return conclude(console, await follow_deployment(client, world, after, machine["id"], shown))
        found = await client.query(documents.DEPLOYMENT, {"id": machine["id"]})
        service_id = found["deployment"]["serviceId"]
        return await _follow_next(console, client, world, after, service_id, arguments)


async def _follow_next(
    console: Console, client: Client, world: str, after: str, service_id: str, arguments: argparse.Namespace
) -> int:
    """Follow the service's next deployment that is born after the cursor."""
    deployment_id = await _next_deployment(client, world, after, service_id)
    _asked(console, "deployment", deployment_id)
    if arguments.no_wait:
        return ExitCode.DONE
    try:
        shown = view(console, "")
        progress = await follow_deployment(client, world, after, deployment_id, shown)
        await _taken_over(client, world, deployment_id)
        return conclude(console, progress)
    except asyncio.CancelledError:
        console.complain(f"it goes on; to end it: deployd cancel {deployment_id}")
        raise


async def _taken_over(client: Client, world: str, deployment_id: str) -> None:
    """Its service knows how it ended, so that whoever asks next is told what serves now."""

    def settled(service: Json | None) -> bool:
        working = service and service["deployment"]
        return not working or working["id"] != deployment_id

    found = await client.query(documents.DEPLOYMENT, {"id": deployment_id})
    await until(client, world, [found["deployment"]["service"]], settled, seconds=TAKING_OVER)


async def _next_deployment(client: Client, world: str, after: str, service_id: str) -> str:
    began = time.monotonic()
    try:
        async with asyncio.timeout(BEGINNING):
            stream = client.subscribe(documents.TRANSITIONS, {"world": world, "after": after})
            async with aclosing(stream):
                async for batch in stream:
                    for one in batch.get("transitions", ()):
                        if one["serviceId"] == service_id and _born(one):
                            return str(one["machineId"])
    except TimeoutError:
        pass
    raise DeploydError(
        f"no deployment began within {time.monotonic() - began:.0f} s",
        remedy="See how the service stands: deployd status",
    )


def _born(transition: Json) -> bool:
    return word(transition["kind"]) == "deployment" and not transition["fromState"]


def _asked(console: Console, kind: str, machine_id: str) -> None:
    if console.json:
        console.tell("asked", kind=kind, id=machine_id)
    else:
        console.say(console.paint(f"{kind} {machine_id}", "dim"))
