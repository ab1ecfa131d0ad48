"""What resources do: come to exist, be watched over, cease."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import cast

from deployd.drivers.api import Failed, Progress, ResourceSpec, Wait
from deployd.engine.context import Context
from deployd.engine.outcome import Act, Go, Outcome, Stay
from deployd.machines import RUNNERS
from deployd.model.facts import ResourceFacts
from deployd.model.machine import Machine, Request
from deployd.model.reason import Reason
from deployd.model.state import Health, MachineKind, ResourceState

__all__ = ["ACTS", "answer", "facts_of"]

_RUNNER = RUNNERS[MachineKind.RESOURCE]


def facts_of(machine: Machine) -> ResourceFacts:
    """The facts, as a resource's."""
    assert isinstance(machine.facts, ResourceFacts)
    return machine.facts


async def _spec(context: Context, machine: Machine) -> ResourceSpec:
    facts = facts_of(machine)
    world = await context.world(machine.world_id)
    return ResourceSpec(
        machine.world_id, world.name, machine.id, facts.name, facts.type, dict(facts.settings)
    )


# -- acts


async def accept(context: Context, machine: Machine) -> Outcome:
    """Requested: the world can do it, so it begins. Raises Unsupported."""
    await context.provisioner(machine.world_id, facts_of(machine).capability)
    return Go("create")


async def apply(context: Context, machine: Machine) -> Outcome:
    """Creating or updating: until the driver says that it is so."""
    facts = facts_of(machine)
    provisioner = await context.provisioner(machine.world_id, facts.capability)
    progress = await provisioner.apply(await _spec(context, machine))
    if (other := _unfinished(facts, progress)) is not None:
        return other
    outputs = tuple(sorted(progress.outputs))  # type: ignore[union-attr] # only Done is left
    facts = replace(facts, outputs=outputs, health=Health.HEALTHY, reason=None)
    return Go("created" if machine.state == ResourceState.CREATING else "updated", facts=facts)


async def watch_over(context: Context, machine: Machine) -> Outcome:
    """Ready: how does it do?"""
    facts = facts_of(machine)
    provisioner = await context.provisioner(machine.world_id, facts.capability)
    health = await provisioner.observe(await _spec(context, machine))
    if health is facts.health:
        return Stay()
    reason = Reason("HEALTH_CHANGED", f"resource {facts.name}: {facts.health} → {health}")
    return Go("report", facts=replace(facts, health=health, reason=reason), reason=reason)


async def destroy(context: Context, machine: Machine) -> Outcome:
    """Deleting: somebody named it and asked for this."""
    facts = facts_of(machine)
    provisioner = await context.provisioner(machine.world_id, facts.capability)
    progress = await provisioner.destroy(await _spec(context, machine))
    other = _unfinished(facts, progress)
    return other or Go("deleted", facts=replace(facts, health=Health.MISSING, outputs=()))


def _unfinished(facts: ResourceFacts, progress: Progress) -> Outcome | None:
    """What follows from Wait and Failed; None for Done."""
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        return Go("fail", facts=replace(facts, reason=progress.reason), reason=progress.reason)
    return None


# -- requests


async def answer(context: Context, machine: Machine, request: Request) -> Outcome:
    """Requests: update, retry, delete, cancel."""
    facts = facts_of(machine)
    if not _RUNNER.allows(request.trigger, machine.state):
        return Stay()
    match request.trigger:
        case "update":
            settings = cast("dict[str, object]", request.payload.get("settings", {}))
            return Go("update", facts=replace(facts, settings=settings))
        case "cancel":
            reason = Reason("CANCELLED", f"{machine.state} was cancelled by {request.actor}")
            return Go("cancel", facts=replace(facts, reason=reason), reason=reason)
        case "retry" | "delete":
            return Go(request.trigger, facts=replace(facts, reason=None))
        case _:
            return Stay()


ACTS: dict[tuple[MachineKind, str], Act] = {
    (MachineKind.RESOURCE, "accept"): accept,
    (MachineKind.RESOURCE, "apply"): apply,
    (MachineKind.RESOURCE, "watch_over"): watch_over,
    (MachineKind.RESOURCE, "destroy"): destroy,
}
