"""cancel, approve, suspend, resume, retire: tell a machine what to do."""

from __future__ import annotations

import argparse

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.planned import plan_lines, summary
from deployd.cli.progress import word
from deployd.cli.session import client_of, console_of, latest, service_of, stuck, until
from deployd.errors import Conflict, DeploydError, NotFound

__all__ = ["approve", "cancel", "resume", "retire", "suspend", "suspended"]

WAITING = 60.0
"""Seconds within which a service has to become what it was told."""


async def cancel(options: Options, arguments: argparse.Namespace) -> int:
    """Ask a change, a deployment or a service to give up what it does."""
    console = console_of(options)
    async with client_of(options) as client:
        machine = await client.mutate(
            documents.CANCEL, {"id": await latest(client, options.world, arguments.id)}
        )
    kind = machine["__typename"].lower()
    if machine.get("finished"):
        state = word(machine[f"{kind}State"])
        raise Conflict(f"{kind} {machine['id']} is {state} already", remedy="There is nothing to cancel.")
    if console.json:
        console.document({"kind": kind, "id": machine["id"], "asked": "cancel"})
    else:
        console.say(f"{kind} {machine['id']} is being cancelled")
    return ExitCode.DONE


async def approve(options: Options, arguments: argparse.Namespace) -> int:
    """Approve exactly the plan that is shown."""
    console = console_of(options)
    async with client_of(options) as client:
        machine_id = await latest(client, options.world, arguments.id)
        kind, machine = await _planned(client, machine_id)
        if word(machine["state"]) != "awaiting_approval" or machine["planHash"] is None:
            raise Conflict(f"{kind} {machine_id} is {word(machine['state'])}; it awaits no approval")
        if arguments.plan is not None and arguments.plan != machine["planHash"]:
            raise Conflict(
                f"the plan is another one by now: {machine['planHash']}",
                evidence="\n".join(machine["plan"]),
                remedy="Look at it, and approve that one.",
            )
        await client.mutate(documents.APPROVE, {"id": machine_id, "planHash": machine["planHash"]})
    items = machine.get("planItems", [])
    if console.json:
        told = {"kind": kind, "id": machine_id, "plan": machine["plan"], "planHash": machine["planHash"]}
        console.document({**told, "items": items} if items else told)
    else:
        width = console.size()[0] - 2 if console.live else None
        plan = [*plan_lines(items, width, console.paint), summary(items)] if items else machine["plan"]
        console.say("\n".join([f"approved for {kind} {machine_id}:", *(f"  {one}" for one in plan)]))
    return ExitCode.DONE


async def _planned(client: Client, machine_id: str) -> tuple[str, Json]:
    for kind, document in (("change", documents.CHANGE), ("deployment", documents.DEPLOYMENT)):
        try:
            data = await client.query(document, {"id": machine_id})
        except NotFound:
            continue
        if data[kind] is not None:
            return kind, data[kind]
    raise NotFound(
        f"there is no change and no deployment {machine_id}", remedy="See: deployd history SERVICE"
    )


def suspended(service: Json | None) -> bool:
    """Whether nothing of the service runs any more."""
    return service is None or word(service["state"]) in ("suspended", "retired")


def _serving(service: Json | None) -> bool:
    return (
        service is not None and word(service["state"]) == "serving" and word(service["health"]) == "healthy"
    )


def _retired(service: Json | None) -> bool:
    return service is None or word(service["state"]) == "retired"


async def suspend(options: Options, arguments: argparse.Namespace) -> int:
    """Stop a service, and let it stay so."""
    return await _steer(options, arguments, "suspend")


async def resume(options: Options, arguments: argparse.Namespace) -> int:
    """Let a suspended service serve again."""
    return await _steer(options, arguments, "resume")


async def retire(options: Options, arguments: argparse.Namespace) -> int:
    """End a service for good."""
    return await _steer(options, arguments, "retire")


_ENDS = {
    "suspend": ("suspended", suspended),
    "resume": ("serving", _serving),
    "retire": ("retired", _retired),
}


async def _steer(options: Options, arguments: argparse.Namespace, verb: str) -> int:
    console, name, (what, settled) = console_of(options), arguments.service, _ENDS[verb]
    async with client_of(options) as client:
        await service_of(client, options.world, name)
        await client.mutate(documents.STEER[verb], {"world": options.world, "service": name})
        if not arguments.no_wait:
            waiting = await until(client, options.world, [name], settled, seconds=WAITING)
            if waiting:
                raise stuck(waiting, what, WAITING)
        service = await _last(client, options.world, name)
    if console.json:
        console.document(
            {"service": name, "asked": verb, "state": word(service["state"]) if service else what}
        )
    elif arguments.no_wait:
        console.say(f"{name}: {verb} is asked for")
    else:
        reached = service and (service["url"] or service["address"])
        address = f" at {reached}" if reached else ""
        console.say(f"{name} is {what}{address}")
    return ExitCode.DONE


async def _last(client: Client, world: str, name: str) -> Json | None:
    try:
        return await service_of(client, world, name)
    except DeploydError:  # retired: it is listed no more
        return None
