"""What deployments do, state by state: it reads like the timetable of one attempt."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from deployd.drivers.api import Failed, InstanceStatus, ReleaseSpec, Routed, Wait
from deployd.engine import rollout
from deployd.engine.birth import birth
from deployd.engine.context import Context
from deployd.engine.foreseeing import foresee, refusal
from deployd.engine.going_back import warnings
from deployd.engine.holds import given_up, refusing
from deployd.engine.holds import refusal as held_refusal
from deployd.engine.outcome import Act, Go, Outcome, Stay
from deployd.engine.provisioning import provide
from deployd.engine.released import release_spec, where
from deployd.engine.replacing import make_alone, make_room, watch_canary
from deployd.engine.routing import drain_seconds, route, targets, unroute
from deployd.engine.tasks import (
    build_release,
    has_before,
    releasing_time,
    run_before,
    waiting,
)
from deployd.engine.undoing import undone
from deployd.errors import InputError, NotFound
from deployd.machines import RUNNERS
from deployd.model.facts import DeploymentFacts, ServiceFacts, Source
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine, Request
from deployd.model.reason import Fault, Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import DeploymentState, Health, MachineKind, ServiceState
from deployd.store import machines, releases
from deployd.store.codec import encode_sorted
from deployd.store.commit import Birth, Post

__all__ = ["ACTS", "answer", "facts_of", "hash_plan"]

_RUNNER = RUNNERS[MachineKind.DEPLOYMENT]
_LOOKS = 14  # at the health of a new release in one act, so that a quick start is seen at once
_LOOK_FIRST, _LOOK_EVERY = 0.03, 0.15  # seconds between them: soon at first, then seldom
_SLACK = timedelta(seconds=1)  # for looking, beyond the time that the service asked for
_ENDING = timedelta(hours=1, minutes=2)  # the longest grace period, which a driver ends by itself
_MARGIN = 1.1  # of a canary's steps, for the same


def facts_of(machine: Machine) -> DeploymentFacts:
    """The facts, as a deployment's."""
    assert isinstance(machine.facts, DeploymentFacts)
    return machine.facts


def hash_plan(spec: ServiceSpec, source: Source, actions: tuple[str, ...]) -> str:
    """What an approval holds for: the same files, the same specification, the same actions."""
    return hashlib.sha256(encode_sorted([spec, source, actions]).encode()).hexdigest()[:16]


# -- acts


async def take_turn(context: Context, machine: Machine) -> Outcome:
    """Queued: ask the service for its turn, and wait for it."""
    facts = facts_of(machine)
    assert machine.service_id is not None
    service = await machines.get(context.db, machine.world_id, machine.service_id)
    if service is None or service.state == ServiceState.RETIRED:
        raise NotFound(f"service {facts.service} is retired", remedy="Deploy again: that makes a new one.")
    assert isinstance(service.facts, ServiceFacts)
    # Before it asks, so that it takes nobody's place; and again when its turn has come.
    if (hold := refusing(service.facts.holds, facts)) is not None:
        reason = held_refusal(facts.service, hold)
        return Go("fail", facts=replace(facts, reason=reason), reason=reason)
    turns = service.facts.current, service.facts.next
    if turns[0] is not None and turns[0].deployment_id == machine.id:
        restores = None if service.facts.suspended else service.facts.serving
        return Go("start", facts=replace(facts, restores=restores))
    if turns[1] is not None and turns[1].deployment_id == machine.id:
        return Stay()
    asked = {"deployment_id": str(machine.id), "requested_at": facts.requested_at.isoformat()}
    return Stay(posts=(Post(machine.world_id, service.id, "deploy", facts.requested_by, asked),))


async def fetch(context: Context, machine: Machine) -> Outcome:
    """Fetching: lay out the tree."""
    tree = facts_of(machine).source.tree
    if tree is None:
        raise InputError("the deployment has no source")
    await context.tree(tree)
    return Go("fetched")


async def plan(context: Context, machine: Machine) -> Outcome:
    """Planning: whatever can be known to be wrong is known here."""
    facts = facts_of(machine)
    deployer, service = await where(context, machine)
    assert facts.source.tree is not None
    folder = await context.tree(facts.source.tree)
    foreseen = await foresee(context, deployer, service, ReleaseSpec(machine.id, 0, facts.spec, tree=folder))
    planned = foreseen.plan
    if (reason := refusal(planned)) is not None:
        return Go("fail", facts=replace(facts, reason=reason), reason=reason)
    facts = replace(
        facts,
        actions=planned.actions,
        notes=(*planned.notes, *await _not_undone(context, machine)),
        plan_hash=hash_plan(facts.spec, facts.source, planned.actions),
        replaces=foreseen.replaces,
        reason=None,
    )
    capability = (await context.world(machine.world_id)).capabilities[facts.capability]
    # Who rolls back has looked at it, and must not be held up; unless data would be lost.
    asks = facts.replaces or (capability.approval and facts.purpose != "rollback")
    if asks and facts.approved_hash != facts.plan_hash:
        return Go("ask", facts=facts)
    return Go("planned", facts=facts)


async def _not_undone(context: Context, machine: Machine) -> tuple[str, ...]:
    """What whoever rolls back has to know."""
    facts = facts_of(machine)
    if facts.purpose != "rollback" or facts.release_id is None or machine.service_id is None:
        return ()
    target = await releases.get(context.db, machine.world_id, facts.release_id)
    return await warnings(context.db, machine.world_id, machine.service_id, target) if target else ()


async def await_approval(context: Context, machine: Machine) -> Outcome:
    """Awaiting approval: a request brings it."""
    return Stay()


async def build(context: Context, machine: Machine) -> Outcome:
    """Building: the release exists from here on, immutable."""
    facts = facts_of(machine)
    assert machine.service_id is not None
    release_id = facts.release_id or machine.id
    await releases.add(
        context.db,
        machine.world_id,
        release_id,
        machine.service_id,
        facts.spec,
        facts.source,
        facts.fingerprint,
    )
    _, service = await where(context, machine)
    spec = await release_spec(context, machine.world_id, release_id)
    progress = await build_release(context, facts.capability, service, spec)
    if isinstance(progress, Wait):
        return waiting(facts, progress)
    if isinstance(progress, Failed):
        return Go("fail", facts=replace(facts, reason=progress.reason), reason=progress.reason)
    return Go("built", facts=replace(facts, release_id=release_id, reason=None))


async def provision(context: Context, machine: Machine) -> Outcome:
    """Provisioning: what the service needs is there. From the next state on something may run."""
    outcome = await provide(context, machine)
    if not isinstance(outcome, Go) or outcome.trigger != "provisioned":
        return outcome
    # With something to run before, something of the release may run only once that has succeeded.
    facts = replace(facts_of(machine), touched=not has_before(facts_of(machine)), reason=None)
    return replace(outcome, facts=facts, deadline=releasing_time(facts))


async def release(context: Context, machine: Machine) -> Outcome:
    """Releasing: start the release beside what serves, or in its place."""
    facts = facts_of(machine)
    assert facts.release_id is not None
    deployer, service = await where(context, machine)
    spec = await release_spec(context, machine.world_id, facts.release_id)
    if not facts.touched:
        return await run_before(context, machine, service, facts, spec)
    if (wait := await make_room(context, deployer, service, facts)) is not None:
        return _because(facts, wait)
    if facts.spec.schedule is not None:  # nothing stays up: it has to be able to start, that is all
        reason = refusal(await deployer.plan(service, spec))
        return Go("released", facts=replace(facts, reason=None)) if reason is None else _back(facts, reason)
    progress = await deployer.apply(service, spec, alone=False)
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        return _back(facts, progress.reason)
    limit, beside = timedelta(seconds=facts.spec.health.timeout) + _SLACK, timedelta()
    # What it replaces, and requests under way to that, have their time beside it, not within it.
    if rollout.replaced(facts) is not None:
        beside += _ENDING
    if facts.spec.ports and (drain := await drain_seconds(context, machine.world_id)) is not None:
        beside += timedelta(seconds=drain) + _SLACK + rollout.duration(facts) * _MARGIN
    healthy_by = datetime.now(UTC) + limit if beside else None
    facts = replace(facts, healthy_by=healthy_by, reason=None)
    return Go("released", facts=facts, deadline=limit + beside)


async def verify(context: Context, machine: Machine) -> Outcome:
    """Verifying: healthy first, then reached (by part of the requests, where it is tried out), then alone."""
    facts = facts_of(machine)
    assert facts.release_id is not None
    deployer, service = await where(context, machine)
    if facts.step is not None and rollout.is_split(facts):
        return _because(facts, await watch_canary(context, deployer, service, facts))
    if facts.spec.schedule is not None:
        await unroute(context, service)
        progress = await deployer.destroy(service)
        if isinstance(progress, Wait):
            return Stay(after=timedelta(seconds=progress.seconds))
        if isinstance(progress, Failed):
            return _back(facts, progress.reason)
        return Go("verified", facts=replace(facts, reason=None))
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(min(_LOOK_FIRST * 1.5**look, _LOOK_EVERY))
        seen = await deployer.observe(service)
        mine = seen.of(facts.release_id)
        spec = None
        if mine is None or mine.health in (Health.MISSING, Health.HEALTHY):
            spec = await release_spec(context, machine.world_id, facts.release_id)
        if spec is not None and mine is not None and mine.health is Health.HEALTHY:
            if rollout.is_split(facts):
                return Stay(after=timedelta(), facts=rollout.begun(facts, mine, datetime.now(UTC)))
            routed = await route(context, service, facts.spec, targets(seen, {facts.release_id: 100}))
            if routed.draining:
                continue
            progress = await make_alone(deployer, service, facts, spec, seen)
            if isinstance(progress, Wait):
                return Stay(after=timedelta(seconds=progress.seconds))
            if isinstance(progress, Failed):
                return _back(facts, progress.reason)
            return Go("verified", facts=_reached(facts, mine, routed))
        if facts.healthy_by is not None and datetime.now(UTC) > facts.healthy_by:
            return _back(facts, _too_late(facts))
        if spec is not None:  # it went missing: start it again
            progress = await deployer.apply(service, spec, alone=False)
            if isinstance(progress, Failed):
                return _back(facts, progress.reason)
        elif mine is not None and mine.health is Health.DEGRADED:
            return _back(facts, mine.reason or Reason("DEGRADED", f"service {facts.service} is degraded"))
        elif mine is not None and mine.reason is not None and mine.reason != facts.reason:
            facts = replace(facts, reason=mine.reason)
    return Stay(after=timedelta(seconds=_LOOK_EVERY), facts=facts if facts != machine.facts else None)


def _reached(facts: DeploymentFacts, mine: InstanceStatus, routed: Routed) -> DeploymentFacts:
    """Where it answers; why it has no address of its own, where it should have one, is a note."""
    notes = (*facts.notes, routed.note) if routed.note and routed.note not in facts.notes else facts.notes
    kept_until = None
    if rollout.keeps(facts) is not None:
        kept_until = datetime.now(UTC) + timedelta(seconds=facts.spec.rollout.keep)
    return replace(
        facts,
        address=mine.address,
        url=routed.url,
        urls=routed.urls,
        notes=notes,
        kept_until=kept_until,
        reason=None,
    )


def _too_late(facts: DeploymentFacts) -> Reason:
    """What the deadline would say, had it not been put off."""
    summary, last = "deployment did not get beyond verifying in time", facts.reason
    if last is None:
        return Reason("DEADLINE_PASSED", summary, fault=Fault.ERRORED)
    return replace(last, code="DEADLINE_PASSED", summary=f"{summary}: {last.summary}", fault=Fault.ERRORED)


def _because(facts: DeploymentFacts, outcome: Outcome) -> Outcome:
    """What goes back knows why."""
    if isinstance(outcome, Go) and outcome.reason is not None:
        return _back(facts, outcome.reason)
    return outcome


def _back(facts: DeploymentFacts, reason: Reason) -> Go:
    return Go("roll_back", facts=replace(facts, reason=reason), reason=reason)


async def roll_back(context: Context, machine: Machine) -> Outcome:
    """Rolling back: what this attempt started is gone, what served before serves."""
    wait = await undone(context, machine)
    if wait is not None:
        return wait
    facts = facts_of(machine)
    back = facts.touched and facts.restores is not None  # else nothing was taken from what serves
    return Go("restored" if back else "fail", reason=facts.reason)


async def undo(context: Context, machine: Machine) -> Outcome:
    """Cancelling: the same, by somebody's wish."""
    return await undone(context, machine) or Go(
        "undone", reason=facts_of(machine).reason, posts=given_up(machine)
    )


# -- requests


async def answer(context: Context, machine: Machine, request: Request) -> Outcome:
    """Requests: cancel, supersede, approve, retry."""
    facts = facts_of(machine)
    match request.trigger:
        case "cancel" if _RUNNER.allows("cancel", machine.state):
            because = request.payload.get("because")
            summary = f"cancelled by {request.actor}" + (f" ({because})" if because else "")
            held = request.payload.get("code") == "HELD"
            reason = Reason("HELD" if held else "CANCELLED", summary)
            return Go("cancel", facts=replace(facts, reason=reason), reason=reason)
        case "supersede" if _RUNNER.allows("supersede", machine.state):
            reason = Reason("SUPERSEDED", f"a newer deployment of {facts.service} took its place")
            return Go("supersede", facts=replace(facts, reason=reason), reason=reason)
        case "approve" if (
            machine.state == DeploymentState.AWAITING_APPROVAL
            and request.payload.get("plan_hash") == facts.plan_hash
        ):
            facts = replace(facts, approved_by=request.actor, approved_hash=facts.plan_hash)
            return Go("approve", facts=facts)
        case "retry" if _RUNNER.states[machine.state].final and machine.state != DeploymentState.SUCCEEDED:
            return Stay(births=(_retry(machine, request),))
        case _:
            return Stay()  # a retry of what is under way: its act is done again at once


def _retry(machine: Machine, request: Request) -> Birth:
    """The same once more: a new attempt, since one that ended stays as it ended."""
    before = facts_of(machine)
    back = before.purpose == "rollback"
    facts = replace(
        before,
        requested_at=datetime.fromisoformat(str(request.payload["requested_at"])),
        requested_by=request.actor,
        purpose="rollback" if back else "retry",
        release_id=before.release_id if back else None,
        resources=(),
        asked=(),
        restores=None,
        touched=False,
        healthy_by=None,
        step=None,
        since=None,
        restarts=0,
        kept_until=None,
        ran_before_at=None,
        address=None,
        url=None,
        urls=(),
        reason=None,
    )
    return birth(
        machine.world_id,
        derived_id(machine.id, "retry", request.payload["request_id"]),
        facts,
        request.actor,
        service_id=machine.service_id,
        placement=machine.placement,
    )


ACTS: dict[tuple[MachineKind, str], Act] = {
    (MachineKind.DEPLOYMENT, "take_turn"): take_turn,
    (MachineKind.DEPLOYMENT, "fetch"): fetch,
    (MachineKind.DEPLOYMENT, "plan"): plan,
    (MachineKind.DEPLOYMENT, "await_approval"): await_approval,
    (MachineKind.DEPLOYMENT, "build"): build,
    (MachineKind.DEPLOYMENT, "provision"): provision,
    (MachineKind.DEPLOYMENT, "release"): release,
    (MachineKind.DEPLOYMENT, "verify"): verify,
    (MachineKind.DEPLOYMENT, "roll_back"): roll_back,
    (MachineKind.DEPLOYMENT, "undo"): undo,
}
