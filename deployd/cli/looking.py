"""status, history, version: look without touching."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from deployd import __version__
from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode, ServerUnreachable
from deployd.cli.holds import held
from deployd.cli.options import Options
from deployd.cli.paging import all_of
from deployd.cli.progress import BAD, GIVEN_UP, word
from deployd.cli.render import age, health_style, moment, table
from deployd.cli.resources import show
from deployd.cli.session import client_of, console_of, service_of
from deployd.cli.terminal import Console, clean, cut, error_block
from deployd.errors import NotFound

__all__ = ["history", "next_run", "status", "version"]

_PAGE = 200
"""Items that the server gives at once."""


async def version(options: Options, arguments: argparse.Namespace) -> int:
    """Both sides' versions; a server that is away is no error."""
    console = console_of(options)
    async with client_of(options) as client:
        try:
            there = str((await client.query(documents.VERSION))["version"])
        except ServerUnreachable:
            there = None
    if console.json:
        console.document({"version": __version__, "server": there, "url": client.url})
    else:
        console.say(f"deployd {__version__}")
        console.say(f"server {there} at {client.url}" if there else f"no server at {client.url}")
    return ExitCode.DONE


async def status(options: Options, arguments: argparse.Namespace) -> int:
    """The world's services, or one of them in detail."""
    console = console_of(options)
    async with client_of(options) as client:
        if arguments.service is not None:
            service = await service_of(client, options.world, arguments.service)
            if console.json:
                console.document(service)
            else:
                _detail(console, service)
            return ExitCode.DONE
        found = await all_of(client, documents.SERVICES, {"world": options.world}, "world", "services")
        if found is None:
            raise NotFound(f"there is no world {options.world!r}", remedy="Name another by --world.")
        services = [one for one in found if word(one["state"]) != "retired"]
        variables = {"world": options.world}
        resources = await all_of(client, documents.RESOURCES, variables, "world", "resources") or []
    if console.json:
        console.document(services)
    elif not services:
        console.say(f"world {options.world} has no services; deploy one: deployd up PATH")
    else:
        _overview(console, sorted(services, key=lambda one: str(one["name"])))
    if resources and not console.json:
        console.say("")
        show(console, resources)
    return ExitCode.DONE


def _overview(console: Console, services: list[Json]) -> None:
    now, width = datetime.now(UTC), console.size()[0] if console.live else None
    rows = [
        [
            one["name"],
            word(one["state"]) + (", held" if one["holds"] else ""),
            word(one["health"]),
            str(one["serving"]["number"]) if one["serving"] else "-",
            one["url"] or one["address"] or next_run(one) or "-",
            age((one["serving"] or one)["createdAt"], now),
        ]
        for one in services
    ]
    header, *lines = table(["NAME", "STATE", "HEALTH", "RELEASE", "ADDRESS", "AGE"], rows, width, (0, 4, 1))
    console.say(console.paint(header, "dim"))
    for one, line in zip(services, lines, strict=True):
        console.say(_tinted(console, line, one))
        if trouble := _trouble(one):
            _note(console, trouble, width, "red")


def next_run(service: Json) -> str:
    """When a service with a schedule is due; nothing for one that stays up."""
    if service["runningSince"]:
        return f"running since {moment(service['runningSince'])}"
    return f"next run {moment(service['nextRunAt'])}" if service["nextRunAt"] else ""


def _trouble(service: Json) -> str:
    """Why it is not well; or, if its latest deployment failed, that."""
    if service["reason"] and word(service["health"]) not in ("healthy", "suspended"):
        return _placed(service["reason"])
    for latest in service["deployments"]:
        if word(latest["state"]) in BAD and latest["reason"]:
            state = word(latest["state"]).replace("_", " ")
            return f"latest deployment {state}: {_placed(latest['reason'])}"
    return ""


def _placed(reason: Json) -> str:
    """In a line, where in the source first: the end of the line may be cut."""
    where, summary = reason.get("where"), str(reason["summary"])
    return f"{where}: {summary}" if where and not summary.startswith(where) else summary


def _note(console: Console, text: str, width: int | None, style: str) -> None:
    """A line that belongs to the one above it."""
    note = f"  ↳ {clean(text)}"
    console.say(console.paint(cut(note, width) if width else note, style))


def _tinted(console: Console, line: str, service: Json) -> str:
    """The line with its health in colour: after the name, so that a service may be called `healthy`."""
    health = word(service["health"])
    place = line.find(f" {health} ", len(service["name"])) + 1
    if not place:
        return line
    painted = console.paint(health, *health_style(health))
    return f"{line[:place]}{painted}{line[place + len(health) :]}"


def _detail(console: Console, service: Json) -> None:
    now = datetime.now(UTC)
    serving, previous, working = service["serving"], service["previous"], service["deployment"]
    fields = [
        ("service", service["name"]),
        ("world", service["world"]),
        ("state", word(service["state"])),
        ("health", console.paint(word(service["health"]), *health_style(service["health"]))),
        ("address", service["url"] or service["address"]),
        ("routes", "\n          ".join(one for one in service["urls"] if one != service["url"])),
        ("direct", service["url"] and service["address"]),
        ("release", serving and f"{serving['number']} (made {age(serving['createdAt'], now)} ago)"),
        ("before", previous and f"{previous['number']}"),
        ("copies", (service["copies"] or 0) > 1 and f"{service['running']} of {service['copies']}"),
        ("held", "\n          ".join(held(service))),
        ("deploying", working and _deploying(working)),
        ("process", service["pid"] and str(service["pid"])),
        ("restarts", str(service["restarts"])),
        ("schedule", service["schedule"] and f"{service['schedule']} (UTC)"),
        ("due", service["schedule"] and next_run(service)),
        ("last run", service["lastRunAt"] and _last_run(service)),
        ("id", service["id"]),
    ]
    for name, value in fields:
        if value:
            console.say(f"{console.paint(f'{name:<10}', 'dim')}{value}")
    told = [("", service["reason"])]
    told += [
        (f"latest deployment {word(one['state']).replace('_', ' ')}: ", one["reason"])
        for one in service["deployments"]
        if word(one["state"]) in BAD
    ]
    for title, reason in told:
        if reason is not None:
            what = f"{title}{reason['summary']}"
            console.say("")
            console.say(error_block(what, reason["evidence"], reason["remedy"], reason.get("where")))


def _deploying(deployment: Json) -> str:
    far = f", {deployment['progress']}" if deployment["progress"] else ""
    return f"{word(deployment['state']).replace('_', ' ')}{far} ({deployment['id']})"


def _last_run(service: Json) -> str:
    reason = service["lastRunReason"]
    return f"{moment(service['lastRunAt'])}: {reason['summary']}"


async def history(options: Options, arguments: argparse.Namespace) -> int:
    """A service's deployments, newest first."""
    console = console_of(options)
    most = arguments.limit
    variables = {"world": options.world, "name": arguments.service, "first": min(_PAGE, most)}
    async with client_of(options) as client:
        deployments = await all_of(client, documents.HISTORY, variables, "service", "deployments", most=most)
    if deployments is None:
        raise NotFound(
            f"world {options.world!r} has no service {arguments.service!r}",
            remedy="See which there are: deployd status",
        )
    if console.json:
        console.document(deployments)
    elif not deployments:
        console.say(f"{arguments.service} has no deployments")
    else:
        _chronicle(console, deployments)
    return ExitCode.DONE


def _chronicle(console: Console, deployments: list[Json]) -> None:
    width = console.size()[0] if console.live else None
    rows = [
        [
            moment(one["requestedAt"]),
            word(one["state"]).replace("_", " "),
            one["purpose"],
            str(one["release"]["number"]) if one["release"] else "-",
            one["requestedBy"],
            one["id"],
        ]
        for one in deployments
    ]
    header, *lines = table(["WHEN", "STATE", "WHAT", "REL", "WHO", "ID"], rows, width, (4, 2, 1))
    console.say(console.paint(header, "dim"))
    for one, line in zip(deployments, lines, strict=True):
        console.say(line)
        if one["reason"] and word(one["state"]) in BAD | GIVEN_UP:
            style = "red" if word(one["state"]) in BAD else "yellow"
            _note(console, one["reason"]["summary"], width, style)
