"""How a service that serves is watched over: what it serves runs, alone, reached, and with what it needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.drivers.api import (
    Deployer,
    Done,
    Failed,
    InstanceStatus,
    Progress,
    ServiceRef,
    TaskSpec,
    Wait,
)
from deployd.engine import rollout
from deployd.engine.context import Context
from deployd.engine.copies import copies
from deployd.engine.holding import WAKE
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.engine.provisioning import awake
from deployd.engine.released import release_spec
from deployd.engine.routing import keep_route, spec_of
from deployd.engine.scheduling import Runner, keep_schedule
from deployd.engine.tasks import end_task, run_task
from deployd.machines import RUNNERS
from deployd.model.actor import ENGINE
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.model.reason import Fault, Reason
from deployd.model.state import Health, MachineKind, ServiceState
from deployd.store.commit import Post

__all__ = ["guard", "wake_resources"]

_WATCH = next(
    state.recheck or timedelta()
    for state in RUNNERS[MachineKind.SERVICE].table.states
    if state.name == ServiceState.SERVING
)


async def guard(context: Context, machine: Machine, facts: ServiceFacts) -> Outcome:
    """See that exactly the served release runs, or what is due of its schedule, and how it does."""
    assert facts.serving is not None
    service = await context.service_ref(machine.world_id, machine.id, facts.name)
    if facts.schedule is not None or facts.run is not None:
        if facts.run is None and (posts := await awake(context, machine, facts.resources)):
            return Stay(after=timedelta(seconds=0.5), posts=posts)
        return await keep_schedule(machine.id, facts, _runner(context, service, facts), datetime.now(UTC))
    deployer = await context.deployer(machine.world_id, facts.capability)
    observation = await deployer.observe(service)
    mine = observation.of(facts.serving)
    routed = await keep_route(context, service, facts.serving, observation)
    known = (facts.serving, facts.kept)
    strangers = {one.release_id for one in observation.instances if one.release_id not in known}
    if mine is None or mine.health is Health.MISSING or strangers:
        return await _restore(context, deployer, service, machine, facts, strangers)
    there = len(observation.copies(facts.serving))
    if deployer.supports.max_scale > 1:
        wanted = copies((await spec_of(context, service, facts.serving)).scale, facts.copies)
        if there != wanted:
            return await _scale(context, deployer, service, facts, (there, wanted))
    if facts.kept is not None and rollout.kept(facts, datetime.now(UTC)) is None:
        return await _let_go(context, deployer, service, facts)
    seen = replace(
        facts,
        health=mine.health,
        address=mine.address,
        url=facts.url if routed is None else routed.url,
        urls=facts.urls if routed is None else routed.urls,
        pid=mine.pid,
        restarts=mine.restarts,
        running=there,
        reason=mine.reason,
    )
    soon = timedelta(seconds=0.5) if mine.health is Health.PROGRESSING else _until_let_go(facts)
    if seen == facts:
        return Stay(after=soon)
    if _told(seen) == _told(facts):
        return Stay(after=soon, facts=seen)
    worse = seen.health is Health.DEGRADED and facts.health is not Health.DEGRADED
    # It may be for want of one of them.
    wakes = wake_resources(machine, facts) if worse else ()
    return Go("report", facts=seen, reason=_news(facts, seen, mine), posts=wakes)


def wake_resources(machine: Machine, facts: ServiceFacts) -> tuple[Post, ...]:
    """Its resources look at once how they do, and whether they are needed."""
    return tuple(Post(machine.world_id, one, WAKE, ENGINE) for one in facts.resources)


def _runner(context: Context, service: ServiceRef, facts: ServiceFacts) -> Runner:
    async def run(release_id: UUID, task: TaskSpec) -> Progress:
        release = await release_spec(context, service.world_id, release_id)
        return await run_task(context, facts.capability, service, release, task)

    async def end(task_id: UUID) -> Progress:
        return await end_task(context, facts.capability, service, task_id)

    return Runner(run, end)


def _told(facts: ServiceFacts) -> tuple[object, ...]:
    """What is worth a transition when it changes."""
    return facts.health, facts.address, facts.url, facts.urls, facts.restarts


def _news(before: ServiceFacts, seen: ServiceFacts, mine: InstanceStatus) -> Reason:
    """Why health is reported: what the driver says, or that it is well again."""
    if mine.reason is not None:
        return mine.reason
    if (seen.url, seen.urls) != (before.url, before.urls) and seen.health == before.health:
        ways = ", ".join(seen.urls) or seen.url
        now = f"is reached at {ways}" if ways else "has no address but its own"
        return Reason("ADDRESS_CHANGED", f"service {seen.name} {now}")
    return Reason("HEALTH_CHANGED", f"service {seen.name}: {before.health} → {seen.health}")


def _until_let_go(facts: ServiceFacts) -> timedelta | None:
    """When the watch looks again for the sake of a release that is kept; None: at its usual time."""
    if facts.kept_until is None:
        return None
    left = facts.kept_until - datetime.now(UTC)
    return max(left, timedelta(seconds=0.05)) if left < _WATCH else None


async def _let_go(context: Context, deployer: Deployer, service: ServiceRef, facts: ServiceFacts) -> Outcome:
    """The release that was kept has had its time."""
    assert facts.kept is not None
    progress = await deployer.destroy(service, facts.kept)
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        return Stay(facts=replace(facts, reason=progress.reason))
    return Stay(after=timedelta(), facts=replace(facts, kept=None, kept_until=None))


async def _scale(
    context: Context, deployer: Deployer, service: ServiceRef, facts: ServiceFacts, number: tuple[int, int]
) -> Outcome:
    """Other copies run than shall: those that are there, and those that are wanted."""
    assert facts.serving is not None
    release = await release_spec(context, service.world_id, facts.serving)
    progress = await deployer.apply(service, release, alone=False)
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        if facts.reason == progress.reason:
            return Stay()
        return Go("report", facts=replace(facts, reason=progress.reason), reason=progress.reason)
    there, wanted = number
    reason = Reason("SCALED", f"service {facts.name} gets {_copies(wanted)} instead of {there}")
    if facts.reason == reason:
        return Stay(after=timedelta(seconds=0.5))  # told already: until they are there
    return Go("report", facts=replace(facts, health=Health.PROGRESSING, reason=reason), reason=reason)


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"


async def _restore(
    context: Context,
    deployer: Deployer,
    service: ServiceRef,
    machine: Machine,
    facts: ServiceFacts,
    strangers: set[UUID],
) -> Outcome:
    """What is served is missing, or something else runs beside it: put that right."""
    assert facts.serving is not None
    if posts := await awake(context, machine, facts.resources):
        waiting = Reason("WAITING_FOR_RESOURCES", f"service {facts.name} waits for its resources")
        return Stay(timedelta(seconds=0.5), replace(facts, reason=waiting), posts=posts)
    release = await release_spec(context, machine.world_id, facts.serving)
    progress = await deployer.apply(service, release, alone=facts.kept is None)
    if facts.kept is not None:
        for stranger in strangers:
            progress = (
                progress if not isinstance(progress, Done) else await deployer.destroy(service, stranger)
            )
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        degraded = replace(facts, health=Health.DEGRADED, reason=progress.reason)
        if degraded == facts:
            return Stay()
        return Go("report", facts=degraded, reason=progress.reason)
    if facts.health in (Health.PROGRESSING, Health.MISSING):
        return Stay(after=timedelta(seconds=0.5))
    reason = Reason(
        "RESTORED",
        f"service {facts.name} was not as it should be; release {release.number} was started again",
        fault=Fault.ERRORED,
    )
    return Go("report", facts=replace(facts, health=Health.PROGRESSING, reason=reason), reason=reason)
