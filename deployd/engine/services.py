"""What services do: give deployments their turn, watch over what they serve, stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from deployd.drivers.api import (
    Done,
    Failed,
    Wait,
)
from deployd.engine.birth import birth
from deployd.engine.context import Context
from deployd.engine.guarding import guard, wake_resources
from deployd.engine.holding import WAKE
from deployd.engine.holds import answer_hold, leaving, settle
from deployd.engine.outcome import Act, Go, Outcome, Stay
from deployd.engine.provisioning import give_back
from deployd.engine.routing import unroute
from deployd.engine.scheduling import begin_now, forget_times, scheduled
from deployd.engine.tasks import end_task
from deployd.machines import RUNNERS
from deployd.model.actor import ENGINE
from deployd.model.facts import DeploymentFacts, ServiceFacts, Turn
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine, Request
from deployd.model.state import DeploymentState, Health, MachineKind, ServiceState
from deployd.store import machines, releases
from deployd.store.commit import Post

__all__ = ["ACTS", "SETTLED_DEPLOYMENT", "answer", "facts_of"]

_RUNNER = RUNNERS[MachineKind.SERVICE]
SETTLED_DEPLOYMENT = tuple(
    str(state.name) for state in RUNNERS[MachineKind.DEPLOYMENT].table.states if state.settled
)


def facts_of(machine: Machine) -> ServiceFacts:
    """The facts, as a service's."""
    assert isinstance(machine.facts, ServiceFacts)
    return machine.facts


# -- acts


async def await_work(context: Context, machine: Machine) -> Outcome:
    """Idle or suspended: begin with the deployment that waits, or with what was wished for."""
    facts = facts_of(machine)
    if facts.wish is not None and _RUNNER.allows(facts.wish, machine.state):
        return Go(facts.wish, facts=replace(facts, wish=None))
    if facts.next is not None:
        return _give_turn(machine, replace(facts, next=None), facts.next)
    return Stay(facts=replace(facts, wish=None) if facts.wish is not None else None)


async def follow_deployment(context: Context, machine: Machine) -> Outcome:
    """Deploying: until the deployment that has the turn has ended, then serve what it left."""
    facts = facts_of(machine)
    if facts.current is not None:
        deployment_id = facts.current.deployment_id
        if await machines.wait_for(
            context.db, machine.world_id, deployment_id, machine.id, SETTLED_DEPLOYMENT
        ):
            return Stay()
        deployment = await machines.get(context.db, machine.world_id, deployment_id)
        facts = replace(facts, current=None)
        if deployment is not None:
            facts = replace(facts, holds=await settle(context, machine, deployment))
        asked: tuple[UUID, ...] = ()
        if deployment is not None and deployment.state == DeploymentState.SUCCEEDED:
            assert isinstance(deployment.facts, DeploymentFacts)
            release_id, held = deployment.facts.release_id, deployment.facts.resources
            dropped = [one for one in facts.resources if one not in held]
            facts = replace(
                facts,
                previous=facts.serving if facts.serving != release_id else facts.previous,
                kept=deployment.facts.restores if deployment.facts.kept_until else None,
                kept_until=deployment.facts.kept_until,
                serving=release_id,
                suspended=False,
                resources=held,
                health=Health.HEALTHY,
                pid=None,  # the first look at what it serves now tells it
                restarts=0,
                address=deployment.facts.address,
                url=deployment.facts.url,
                urls=deployment.facts.urls,
                reason=None,
            )
            facts = scheduled(facts, deployment.facts.spec.schedule)
            return Go("serve", facts=facts, posts=give_back(machine.world_id, machine.id, dropped))
        if deployment is not None and isinstance(deployment.facts, DeploymentFacts):
            asked = deployment.facts.resources
    else:
        asked = ()
    # What only the attempt that came to nothing needs is given back: of what it asked for, what came to be.
    made = await machines.list_many(context.db, machine.world_id, asked)
    posts = give_back(machine.world_id, machine.id, (one.id for one in made if one.id not in facts.resources))
    if facts.suspended:
        return Go("pause", facts=facts, posts=posts)
    return Go("withdraw" if facts.serving is None else "serve", facts=facts, posts=posts)


async def watch_over(context: Context, machine: Machine) -> Outcome:
    """Serving: begin with what was asked for; else see to it that it serves."""
    facts = facts_of(machine)
    if facts.wish is not None:
        return Go(facts.wish, facts=replace(facts, wish=None))
    if facts.next is not None:
        return _give_turn(machine, replace(facts, next=None), facts.next)
    if facts.serving is None:
        return Go("withdraw", facts=replace(facts, health=Health.UNKNOWN))
    return await guard(context, machine, facts)


async def stop(context: Context, machine: Machine) -> Outcome:
    """Suspending or retiring: end whatever runs."""
    facts = facts_of(machine)
    deployer = await context.deployer(machine.world_id, facts.capability)
    service = await context.service_ref(machine.world_id, machine.id, facts.name)
    retiring = machine.state == ServiceState.RETIRING
    await unroute(context, service, None if retiring else "is suspended")
    progress = await deployer.destroy(service)
    if isinstance(progress, Done) and facts.run is not None:
        progress = await end_task(context, facts.capability, service, facts.run.task_id)
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        return Stay(facts=replace(facts, reason=progress.reason))
    assert isinstance(progress, Done)
    posts = wake_resources(machine, facts)  # they may rest, now that this service does
    if retiring:
        posts = give_back(machine.world_id, machine.id, facts.resources)
        if facts.next is not None:  # it came while the retirement was but wished for; it finds it done
            posts += (Post(machine.world_id, facts.next.deployment_id, WAKE, ENGINE),)
    facts = replace(
        forget_times(facts),
        next=None if retiring else facts.next,
        suspended=not retiring,
        resources=() if retiring else facts.resources,
        kept=None,
        kept_until=None,
        health=Health.MISSING if retiring else Health.SUSPENDED,
        address=None,
        url=None,
        urls=(),
        pid=None,
        running=0,
        reason=None,
    )
    return Go("gone" if retiring else "stopped", facts=facts, posts=posts)


# -- requests


async def answer(context: Context, machine: Machine, request: Request) -> Outcome:
    """Requests: deploy (from deployments), and what people ask of a service."""
    facts = facts_of(machine)
    match request.trigger:
        case "deploy":
            return _enqueue(machine, _turn(request))
        case "rollback":
            return await _roll_back(context, machine, request)
        case "hold" | "lift" | "unhold" if machine.state != ServiceState.RETIRED:
            return await answer_hold(context, machine, request)
        case "scale" if machine.state != ServiceState.RETIRED:
            return Stay(facts=replace(facts, copies=cast("int", request.payload["copies"])))
        case "resume" if _RUNNER.allows("resume", machine.state):
            return Go("resume", facts=replace(facts, suspended=False, health=Health.PROGRESSING, wish=None))
        case "suspend" | "retire" if _RUNNER.allows(request.trigger, machine.state):
            return Go(request.trigger, posts=_dismiss(machine, facts, request))
        case "suspend" | "retire" if machine.state == ServiceState.DEPLOYING:
            return Stay(facts=replace(facts, wish=request.trigger), posts=_dismiss(machine, facts, request))
        case "cancel" if machine.state == ServiceState.DEPLOYING:
            return Stay(posts=_dismiss(machine, facts, request))
        case "cancel" if _RUNNER.allows("cancel", machine.state):
            return Go("cancel")
        case "cancel" if facts.run is not None:
            return Stay(facts=replace(facts, run=replace(facts.run, cancelled_by=request.actor)))
        case "run" if machine.state == ServiceState.SERVING and facts.schedule and facts.run is None:
            task_id = derived_id(machine.id, "run", request.payload["request_id"])
            return Stay(facts=begin_now(facts, task_id))
        case _:
            return Stay()


def _turn(request: Request) -> Turn:
    return Turn(
        UUID(str(request.payload["deployment_id"])),
        datetime.fromisoformat(str(request.payload["requested_at"])),
    )


def _give_turn(machine: Machine, facts: ServiceFacts, turn: Turn) -> Go:
    wake = Post(machine.world_id, turn.deployment_id, WAKE, ENGINE)
    return Go("deploy", facts=replace(facts, current=turn), posts=(wake,))


def _enqueue(machine: Machine, turn: Turn) -> Outcome:
    """One deployment works at a time; the newest waits; every other one is superseded."""
    facts = facts_of(machine)
    if machine.state in (ServiceState.RETIRING, ServiceState.RETIRED):
        payload = {"because": f"service {facts.name} is {machine.state}"}
        return Stay(posts=(Post(machine.world_id, turn.deployment_id, "cancel", ENGINE, payload),))
    if facts.current == turn:
        return Stay(posts=(Post(machine.world_id, turn.deployment_id, WAKE, ENGINE),))
    if facts.current is None and facts.next is None and _RUNNER.allows("deploy", machine.state):
        return _give_turn(machine, facts, turn)
    # Automatic or not, what was asked for later wins; asked for at the same time, the one that came later.
    waiting = [one for one in (facts.current, facts.next) if one is not None and one != turn]
    newest = all(one.requested_at <= turn.requested_at for one in waiting)
    losers = waiting if newest else [turn]
    by = turn.deployment_id if newest else max(waiting, key=lambda one: one.requested_at).deployment_id
    posts = tuple(
        Post(machine.world_id, one.deployment_id, "supersede", ENGINE, {"by": str(by)}) for one in losers
    )
    return Stay(facts=replace(facts, next=turn) if newest else None, posts=posts)


def _dismiss(machine: Machine, facts: ServiceFacts, request: Request) -> tuple[Post, ...]:
    """Whoever works or waits is told to stop: the service will do something else."""
    because = {"because": f"service {facts.name}: {request.trigger}"}
    turns = (facts.next,) if request.trigger == "suspend" else (facts.current, facts.next)
    return tuple(
        Post(machine.world_id, turn.deployment_id, "cancel", request.actor, because)
        for turn in turns
        if turn is not None
    )


async def _roll_back(context: Context, machine: Machine, request: Request) -> Outcome:
    """A new deployment, of a release that there is already."""
    facts = facts_of(machine)
    named = request.payload.get("release_id")
    release_id = facts.previous if named is None else UUID(str(named))
    release = release_id and await releases.get(context.db, machine.world_id, release_id)
    if not release or release.service_id != machine.id or machine.state == ServiceState.RETIRED:
        return Stay()
    rollback_id = derived_id(machine.id, "rollback", request.payload["request_id"])
    rollback = DeploymentFacts(
        service=facts.name,
        requested_at=datetime.fromisoformat(str(request.payload["requested_at"])),
        requested_by=request.actor,
        spec=release.spec,
        source=release.source,
        capability=facts.capability,
        purpose="rollback",
        fingerprint=release.fingerprint,
        release_id=release.id,
    )
    holds = await leaving(
        context, machine, release, rollback_id, rollback.requested_by, rollback.requested_at
    )
    return Stay(
        facts=replace(facts, holds=holds),
        births=(
            birth(
                machine.world_id,
                rollback_id,
                rollback,
                request.actor,
                service_id=machine.id,
                placement=machine.placement,
            ),
        ),
    )


ACTS: dict[tuple[MachineKind, str], Act] = {
    (MachineKind.SERVICE, "await_work"): await_work,
    (MachineKind.SERVICE, "follow_deployment"): follow_deployment,
    (MachineKind.SERVICE, "watch_over"): watch_over,
    (MachineKind.SERVICE, "stop"): stop,
}
