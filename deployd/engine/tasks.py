"""How acts have commands run once: what a world's driver must be able to do, and a deployment's `before`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.drivers.api import (
    Done,
    Failed,
    Progress,
    ReleaseSpec,
    ServiceRef,
    TaskSpec,
    Wait,
)
from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.model.facts import DeploymentFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.reason import Reason

__all__ = [
    "build_release",
    "end_before",
    "end_task",
    "has_before",
    "releasing_time",
    "run_before",
    "run_task",
    "waiting",
]

_RELEASING = timedelta(minutes=10)  # beside what runs before
_ENDING = timedelta(minutes=2)  # for a command that took too long to be ended


async def run_task(
    context: Context, capability: str, service: ServiceRef, release: ReleaseSpec, task: TaskSpec
) -> Progress:
    """Have it run by the world's driver. Raises LeaseLost, DriverError, Unsupported."""
    return await (await context.tasks(service.world_id, capability)).run_task(service, release, task)


async def end_task(context: Context, capability: str, service: ServiceRef, task_id: UUID) -> Progress:
    """End it, if it runs. Raises LeaseLost, DriverError, Unsupported."""
    return await (await context.tasks(service.world_id, capability)).end_task(service, task_id)


async def build_release(
    context: Context, capability: str, service: ServiceRef, release: ReleaseSpec
) -> Progress:
    """Have made what a release needs beside its files; Done where its driver needs nothing."""
    driver = await context.builds(service.world_id, capability)
    return Done() if driver is None else await driver.build(service, release)


# -- before


def has_before(facts: DeploymentFacts) -> bool:
    """Whether something runs before this release serves: what it did once is not done again to go back."""
    return facts.spec.before is not None and facts.purpose != "rollback"


def releasing_time(facts: DeploymentFacts) -> timedelta:
    """How long releasing may take."""
    if facts.spec.before is None or not has_before(facts):
        return _RELEASING
    return _RELEASING + _ENDING + timedelta(seconds=facts.spec.before.timeout)


def _task_id(machine: Machine) -> UUID:
    return derived_id(machine.id, "before")


async def run_before(
    context: Context, machine: Machine, service: ServiceRef, facts: DeploymentFacts, release: ReleaseSpec
) -> Outcome:
    """Run it to its end; only then may anything of the release run (`touched`)."""
    assert facts.spec.before is not None
    task = TaskSpec(_task_id(machine), "before", facts.spec.before.run, facts.spec.before.timeout)
    progress = await run_task(context, facts.capability, service, release, task)
    known, facts = facts, replace(facts, ran_before_at=facts.ran_before_at or datetime.now(UTC))
    if isinstance(progress, Wait):
        wait = waiting(facts, progress)
        return wait if known == facts else replace(wait, facts=wait.facts or facts)
    if isinstance(progress, Failed):
        return Go("roll_back", facts=replace(facts, reason=progress.reason), reason=progress.reason)
    return Stay(after=timedelta(), facts=replace(facts, touched=True, reason=None))


async def end_before(
    context: Context, machine: Machine, service: ServiceRef, facts: DeploymentFacts
) -> Stay | None:
    """None once nothing of it runs any more."""
    progress = await end_task(context, facts.capability, service, _task_id(machine))
    return Stay(after=timedelta(seconds=progress.seconds)) if isinstance(progress, Wait) else None


def waiting(facts: DeploymentFacts, progress: Wait) -> Stay:
    """Look again later; what is waited for is said meanwhile."""
    told = Reason("WAITING", progress.note) if progress.note else facts.reason
    after = timedelta(seconds=progress.seconds)
    return Stay(after=after, facts=None if told == facts.reason else replace(facts, reason=told))
