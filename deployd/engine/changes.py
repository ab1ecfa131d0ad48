"""What changes do: read the source once, plan every service, then make their deployments and follow them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from deployd.drivers.api import Plan, ReleaseSpec
from deployd.engine.affected import select
from deployd.engine.birth import birth
from deployd.engine.context import Context
from deployd.engine.deployments import hash_plan
from deployd.engine.foreseeing import foresee, refusal, unreachable
from deployd.engine.itemizing import itemize
from deployd.engine.naming import id_of
from deployd.engine.outcome import Act, Go, Outcome, Stay
from deployd.engine.reading import read_specs
from deployd.engine.retiring import follow_retirement, plan_retirement
from deployd.engine.services import SETTLED_DEPLOYMENT
from deployd.engine.taking import forget, take
from deployd.engine.wiring import secret_revisions
from deployd.machines import RUNNERS
from deployd.model.facts import ChangeFacts, DeploymentFacts, ServiceFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine, Request
from deployd.model.reason import Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import ChangeState, DeploymentState, MachineKind
from deployd.store import machines
from deployd.store.codec import encode_sorted
from deployd.store.commit import Birth, Post

__all__ = ["ACTS", "answer", "facts_of"]

_RUNNER = RUNNERS[MachineKind.CHANGE]
_CAPABILITY = "main"
_TURN = timedelta(seconds=0.05)
"""A service hears at once that its deployment has ended; this is how long it is waited for at a time."""


def facts_of(machine: Machine) -> ChangeFacts:
    """The facts, as a change's."""
    assert isinstance(machine.facts, ChangeFacts)
    return machine.facts


# -- acts


async def accept(context: Context, machine: Machine) -> Outcome:
    """Received: it is stored, and begins."""
    return Go("plan")


async def plan(context: Context, machine: Machine) -> Outcome:
    """Planning: one snapshot for all services; whatever can be known to be wrong is known here."""
    facts = facts_of(machine)
    if facts.purpose == "retire":
        return await plan_retirement(context, machine)
    if facts.source.tree is None:
        # Committed before anything is made of it: a repeated act must not see newer files.
        taken = await take(context, machine.world_id, facts.source)
        return Stay(after=timedelta(), facts=replace(facts, source=taken, reason=None))
    await forget(context, machine.world_id, facts.source)
    every = await read_specs(context, machine.world_id, facts)
    specs = _asked_for(facts, every)
    revisions = await secret_revisions(context, machine.world_id, specs)
    selection = await select(context, machine.world_id, facts, specs, revisions)
    deployer = await context.deployer(machine.world_id, _CAPABILITY)
    folder = await context.tree(facts.source.tree)
    lines = [f"{name}: {why}" for name, why in selection.unaffected.items()]
    hashes: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    refused = list(selection.refused)
    refused += [reason for spec in selection.affected for reason in unreachable(spec, every)]
    for spec in selection.affected:
        service_id = await id_of(context, machine.world_id, MachineKind.SERVICE, spec.name)
        service = await context.service_ref(machine.world_id, service_id, spec.name)
        release = ReleaseSpec(machine.id, 0, spec, tree=folder)
        planned = (await foresee(context, deployer, service, release)).plan
        refused += planned.refusals
        lines += [f"{spec.name}: {line}" for line in planned.actions]
        hashes[spec.name] = hash_plan(spec, facts.source, planned.actions)
        notes[spec.name] = planned.notes
    if (reason := refusal(Plan(refusals=tuple(refused)))) is not None:
        return Go("fail", facts=replace(facts, reason=reason), reason=reason)
    gated = (await context.world(machine.world_id)).capabilities[_CAPABILITY].approval
    items = await itemize(context, machine.world_id, facts, every, selection, notes, gated=gated)
    digest = hashlib.sha256(encode_sorted([hashes, items]).encode()).hexdigest()[:16]
    facts = replace(
        facts,
        plan=tuple(lines),
        items=items,
        hashes=hashes,
        plan_hash=digest,
        unaffected=tuple(selection.unaffected),
        fingerprints=selection.fingerprints,
        reason=None,
    )
    if facts.dry_run:
        return Go("stop", facts=facts)
    return Go("ask" if any(one.approval for one in items) else "apply", facts=facts)


async def await_approval(context: Context, machine: Machine) -> Outcome:
    """Awaiting approval: a request brings it."""
    return Stay()


async def follow(context: Context, machine: Machine) -> Outcome:
    """Applying: make the deployments, then wait for the last of them."""
    facts = facts_of(machine)
    if facts.purpose == "retire":
        return await follow_retirement(context, machine)
    if not facts.deployments:
        if facts.cancelled:  # asked for before there was any deployment to tell
            return Go("cancelled", facts=facts)
        births = await _births(context, machine)
        if not births:
            reason = Reason("NOTHING_TO_DO", "; ".join(facts.plan))
            return Go("finish", facts=replace(facts, reason=reason), reason=reason)
        made = tuple(one.id for one in births if isinstance(one.facts, DeploymentFacts))
        return Stay(after=timedelta(), facts=replace(facts, deployments=made), births=births)
    waiting = [
        await machines.wait_for(context.db, machine.world_id, one, machine.id, SETTLED_DEPLOYMENT)
        for one in facts.deployments
    ]
    if any(waiting):
        return Stay()
    ended = await machines.list_many(context.db, machine.world_id, facts.deployments)
    if await _still_turned(context, ended):
        return Stay(after=_TURN)
    return _conclude(facts, ended)


async def _still_turned(context: Context, ended: Iterable[Machine]) -> bool:
    """Whether a service has yet to hear that its deployment ended: until then it tells its old address."""
    for one in ended:
        service = one.service_id and await machines.get(context.db, one.world_id, one.service_id)
        turn = service.facts.current if service and isinstance(service.facts, ServiceFacts) else None
        if turn is not None and turn.deployment_id == one.id:
            return True
    return False


def _conclude(facts: ChangeFacts, ended: Iterable[Machine]) -> Go:
    """What the ends of its deployments make of the change. One that a newer one superseded is no failure."""
    deployments = list(ended)
    good = [one for one in deployments if one.state == DeploymentState.SUCCEEDED]
    given_up = (DeploymentState.CANCELLED, DeploymentState.SUPERSEDED)
    bad = [one for one in deployments if one not in good and one.state not in given_up]
    if bad:
        summary = "; ".join(f"{_name(one)} {one.state.replace('_', ' ')}" for one in bad)
        first = bad[0].facts.reason
        reason = replace(first, summary=f"{summary}: {first.summary}") if first else Reason("FAILED", summary)
        return Go("finish_partly" if good else "fail", facts=replace(facts, reason=reason), reason=reason)
    if len(good) == len(deployments):
        return Go("finish", facts=facts)
    return Go("finish_partly" if good else "cancelled", facts=facts)


def _name(deployment: Machine) -> str:
    assert isinstance(deployment.facts, DeploymentFacts)
    return deployment.facts.service


def _asked_for(facts: ChangeFacts, specs: Iterable[ServiceSpec]) -> list[ServiceSpec]:
    return [spec for spec in specs if not facts.services or spec.name in facts.services]


async def _births(context: Context, machine: Machine) -> tuple[Birth, ...]:
    """Each service (where there is none yet) and its deployment. The ids derive from the change's."""
    facts = facts_of(machine)
    births: list[Birth] = []
    for spec in _asked_for(facts, await read_specs(context, machine.world_id, facts)):
        if spec.name in facts.unaffected:
            continue
        service_id = await id_of(context, machine.world_id, MachineKind.SERVICE, spec.name)
        births.append(
            birth(
                machine.world_id,
                service_id,
                ServiceFacts(name=spec.name, capability=_CAPABILITY),
                facts.requested_by,
                name=spec.name,
                service_id=service_id,
                placement=machine.placement,
            )
        )
        births.append(
            birth(
                machine.world_id,
                derived_id(machine.id, "deployment", spec.name),
                DeploymentFacts(
                    service=spec.name,
                    requested_at=machine.created_at,
                    requested_by=facts.requested_by,
                    spec=spec,
                    source=facts.source,
                    capability=_CAPABILITY,
                    automatic=facts.automatic,
                    fingerprint=facts.fingerprints.get(spec.name, ""),
                    approved_by=facts.approved_by,
                    approved_hash=facts.hashes.get(spec.name) if facts.approved_by else None,
                ),
                facts.requested_by,
                service_id=service_id,
                change_id=machine.id,
                placement=machine.placement,
            )
        )
    return tuple(births)


# -- requests


async def answer(context: Context, machine: Machine, request: Request) -> Outcome:
    """Requests: cancel, approve."""
    facts = facts_of(machine)
    match request.trigger:
        case "cancel" if _RUNNER.allows("cancel", machine.state):
            reason = Reason("CANCELLED", f"cancelled by {request.actor}")
            return Go("cancel", facts=replace(facts, cancelled=True, reason=reason), reason=reason)
        case "cancel" if machine.state == ChangeState.APPLYING:
            posts = tuple(
                Post(machine.world_id, one, "cancel", request.actor, {"because": "its change was cancelled"})
                for one in facts.deployments
            )
            return Stay(facts=replace(facts, cancelled=True), posts=posts)
        case "approve" if (
            machine.state == ChangeState.AWAITING_APPROVAL
            and request.payload.get("plan_hash") == facts.plan_hash
        ):
            return Go("approve", facts=replace(facts, approved_by=request.actor))
        case _:
            return Stay()


ACTS: dict[tuple[MachineKind, str], Act] = {
    (MachineKind.CHANGE, "accept"): accept,
    (MachineKind.CHANGE, "plan"): plan,
    (MachineKind.CHANGE, "await_approval"): await_approval,
    (MachineKind.CHANGE, "follow"): follow,
}
