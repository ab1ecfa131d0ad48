"""What resources do: come to exist, be watched over, rest while nobody needs them, cease."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from deployd.drivers.api import Done, Failed, ResourceSpec, Suspends, Wait
from deployd.engine.context import Context
from deployd.engine.outcome import Act, Go, Outcome, Stay
from deployd.machines import RUNNERS
from deployd.model.facts import ResourceFacts
from deployd.model.machine import Machine, Request
from deployd.model.reason import Reason
from deployd.model.state import Health, MachineKind, Ownership, ResourceState, ServiceState
from deployd.store import machines

__all__ = ["ACTS", "answer", "facts_of"]

_RUNNER = RUNNERS[MachineKind.RESOURCE]
_IDLE = (ServiceState.IDLE, ServiceState.SUSPENDED, ServiceState.RETIRED)
"""Services in these states run nothing that could need it."""
_SOON = timedelta(seconds=1)
_BEING_MADE = (ResourceState.REQUESTED, ResourceState.CREATING, ResourceState.UPDATING)


def facts_of(machine: Machine) -> ResourceFacts:
    """The facts, as a resource's."""
    assert isinstance(machine.facts, ResourceFacts)
    return machine.facts


async def _spec(context: Context, machine: Machine) -> ResourceSpec:
    facts = facts_of(machine)
    world = await context.world(machine.world_id)
    return ResourceSpec(
        machine.world_id,
        world.name,
        machine.id,
        facts.name,
        facts.type,
        dict(facts.settings),
        # On record before the first call, so that a repeated one makes the same.
        await context.vault.generated(machine.world_id, machine.id),
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
    if not isinstance(progress, Done):
        return _unfinished(facts, progress)
    facts = await _provided(context, machine, facts, progress)
    return Go("created" if machine.state == ResourceState.CREATING else "updated", facts=facts)


async def _provided(context: Context, machine: Machine, facts: ResourceFacts, done: Done) -> ResourceFacts:
    """What it offers is kept before anybody is told that it is there."""
    await context.vault.keep_outputs(machine.world_id, machine.id, done.outputs)
    return replace(
        facts,
        outputs=tuple(sorted(done.outputs)),
        health=Health.HEALTHY,
        suspended=False,
        unwell_since=None,
        reason=None,
    )


async def watch_over(context: Context, machine: Machine) -> Outcome:
    """Ready: it does well while somebody needs it, and rests while nobody does."""
    facts = facts_of(machine)
    if not await _is_needed(context, machine):
        suspends = await context.suspends(machine.world_id, facts.capability)
        if suspends is not None:
            return await _rest(context, machine, suspends)
    provisioner = await context.provisioner(machine.world_id, facts.capability)
    spec = await _spec(context, machine)
    health = Health.SUSPENDED if facts.suspended else await provisioner.observe(spec)
    if health in (Health.SUSPENDED, Health.MISSING):
        progress = await provisioner.apply(spec)
        if isinstance(progress, Done):
            return _report(facts, await _provided(context, machine, facts, progress))
        if isinstance(progress, Wait):
            begun = replace(facts, health=Health.PROGRESSING, suspended=False, unwell_since=_since(facts))
            return _report(facts, begun, timedelta(seconds=progress.seconds))
        unwell = replace(
            facts,
            health=Health.DEGRADED,
            suspended=False,
            unwell_since=_since(facts),
            reason=progress.reason,
        )
        return _report(facts, unwell)
    if health is Health.HEALTHY:
        return _report(facts, replace(facts, health=health, unwell_since=None, reason=None))
    return _report(facts, replace(facts, health=health, unwell_since=_since(facts)), _SOON)


def _since(facts: ResourceFacts) -> datetime:
    return facts.unwell_since or datetime.now(UTC)


def _report(before: ResourceFacts, seen: ResourceFacts, after: timedelta | None = None) -> Outcome:
    """A transition where its health is another one; else nothing, or just what is known now."""
    if seen.health is before.health:
        return Stay(after, facts=None if seen == before else seen)
    reason = seen.reason or Reason("HEALTH_CHANGED", f"resource {seen.name}: {before.health} → {seen.health}")
    return Go("report", facts=seen, reason=reason)


async def _is_needed(context: Context, machine: Machine) -> bool:
    """Whether a service that has it runs, or is about to.

    What stands by itself, and what nobody ever asked for, is always needed: who else has it is not known.
    """
    facts = facts_of(machine)
    if facts.standing:
        return True
    if not facts.users and facts.ownership is not Ownership.ORPHANED:
        return True
    services = await machines.list_many(context.db, machine.world_id, facts.users)
    return any(one.state not in _IDLE for one in services)


async def _rest(context: Context, machine: Machine, suspends: Suspends) -> Outcome:
    """Nothing of it runs, its data is kept."""
    facts = facts_of(machine)
    if facts.suspended:
        return Stay()
    progress = await suspends.suspend(await _spec(context, machine))
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        return Stay(facts=replace(facts, reason=progress.reason))
    # A service that was resumed just before this is committed finds it so, and asks; this looks once more.
    rests = replace(facts, suspended=True, health=Health.SUSPENDED, unwell_since=None)
    reason = Reason("SUSPENDED", f"nobody who has resource {facts.name} runs; its data is kept")
    return Go("report", facts=rests, reason=reason)


async def destroy(context: Context, machine: Machine) -> Outcome:
    """Deleting: somebody named it and asked for this."""
    facts = facts_of(machine)
    provisioner = await context.provisioner(machine.world_id, facts.capability)
    progress = await provisioner.destroy(await _spec(context, machine))
    if not isinstance(progress, Done):
        return _unfinished(facts, progress)
    await context.vault.forget(machine.world_id, machine.id)
    return Go("deleted", facts=replace(facts, health=Health.MISSING, outputs=(), users=()))


def _unfinished(facts: ResourceFacts, progress: Wait | Failed) -> Outcome:
    """What follows from Wait and Failed."""
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    return Go("fail", facts=replace(facts, reason=progress.reason), reason=progress.reason)


# -- requests


async def answer(context: Context, machine: Machine, request: Request) -> Outcome:
    """Requests: use and leave (from services), adopt, update, retry, delete, cancel."""
    facts = facts_of(machine)
    match request.trigger:
        case "use":
            return _use(machine, request)
        case "leave":
            return _leave(machine, UUID(str(request.payload["service_id"])))
        case "adopt":
            return _adopt(machine)
        case "update" if machine.state in _BEING_MADE:  # its act begins anew, with these
            return Stay(facts=replace(facts, settings=_settings(facts, request)))
        case trigger if not _RUNNER.allows(trigger, machine.state):
            return Stay()
        case "update":
            return Go("update", facts=replace(facts, settings=_settings(facts, request)))
        case "cancel":
            reason = Reason("CANCELLED", f"{machine.state} was cancelled by {request.actor}")
            return Go("cancel", facts=replace(facts, reason=reason), reason=reason)
        case "retry" | "delete":
            return Go(request.trigger, facts=replace(facts, reason=None))
        case _:
            return Stay()


def _use(machine: Machine, request: Request) -> Outcome:
    """A service has it from now on, with these settings; what had failed is tried again."""
    facts = facts_of(machine)
    if machine.state in (ResourceState.DELETING, ResourceState.DELETED):
        return Stay()  # whoever asked finds it gone, and asks for a new one
    user = UUID(str(request.payload["service_id"]))
    settings = cast("dict[str, object]", request.payload.get("settings", facts.settings))
    used = replace(
        facts,
        users=facts.users if user in facts.users else (*facts.users, user),
        ownership=Ownership.MANAGED if facts.ownership is Ownership.ORPHANED else facts.ownership,
        settings=settings,
    )
    if machine.state == ResourceState.FAILED:
        return Go("retry", facts=replace(used, reason=None))
    if settings != facts.settings and _RUNNER.allows("update", machine.state):
        return Go("update", facts=used)
    return Stay(facts=used)


def _settings(facts: ResourceFacts, request: Request) -> dict[str, object]:
    """All of them, or the present ones with some parameters changed."""
    whole = cast("dict[str, object]", request.payload.get("settings", facts.settings))
    return {**whole, **cast("dict[str, object]", request.payload.get("params", {}))}


def _adopt(machine: Machine) -> Outcome:
    """An orphan is looked after again, and stands by itself."""
    facts = facts_of(machine)
    if facts.ownership is not Ownership.ORPHANED or machine.state in (
        ResourceState.DELETING,
        ResourceState.DELETED,
    ):
        return Stay()
    adopted = replace(facts, ownership=Ownership.MANAGED, standing=True, reason=None)
    if _RUNNER.allows("report", machine.state):
        reason = Reason("ADOPTED", f"resource {facts.name} stands by itself")
        return Go("report", facts=adopted, reason=reason)
    return Stay(facts=adopted)


def _leave(machine: Machine, user: UUID) -> Outcome:
    """A service has it no more. With the last one it is orphaned: kept, listed, to be taken back."""
    facts = facts_of(machine)
    if user not in facts.users:
        return Stay()
    left = replace(facts, users=tuple(one for one in facts.users if one != user))
    if left.users or facts.standing or facts.ownership is not Ownership.MANAGED:
        return Stay(facts=left)
    reason = Reason(
        "ORPHANED",
        f"no service has resource {facts.name} any more; its data is kept",
        remedy=f"A manifest that names it gets it back. To end it: deployd resource delete {facts.name}",
    )
    failed = machine.state == ResourceState.FAILED and facts.reason is not None
    orphaned = replace(left, ownership=Ownership.ORPHANED, reason=facts.reason if failed else reason)
    if _RUNNER.allows("report", machine.state):
        return Go("report", facts=orphaned, reason=reason)
    return Stay(facts=orphaned)


ACTS: dict[tuple[MachineKind, str], Act] = {
    (MachineKind.RESOURCE, "accept"): accept,
    (MachineKind.RESOURCE, "apply"): apply,
    (MachineKind.RESOURCE, "watch_over"): watch_over,
    (MachineKind.RESOURCE, "destroy"): destroy,
}
