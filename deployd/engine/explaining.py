"""Why something is as it is: the chain from what somebody asked for to the root cause. Changes nothing.

Every step leads to the next one; the last of them that says why is the root cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from deployd.engine.awaiting import next_of
from deployd.engine.telling import described, subject_of
from deployd.model.code import CODES
from deployd.model.facts import ChangeFacts, DeploymentFacts, ResourceFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.reason import Reason, Subject, SubjectKind
from deployd.model.state import ChangeState, DeploymentState, Health, MachineKind, ResourceState
from deployd.store import machines, releases, worlds
from deployd.store.database import Database
from deployd.store.moments import moments

__all__ = ["Explanation", "Step", "Verdict", "explain"]

_BAD = (DeploymentState.FAILED, DeploymentState.ROLLED_BACK)
_ENDED = (*_BAD, DeploymentState.SUCCEEDED, DeploymentState.CANCELLED, DeploymentState.SUPERSEDED)
_CHANGE_ENDED = (ChangeState.DONE, ChangeState.PARTLY, ChangeState.FAILED, ChangeState.CANCELLED)
_WELL = (Health.HEALTHY, Health.SUSPENDED)


class Verdict(StrEnum):
    """How it is, in a word."""

    WELL = "well"
    WORKING = "working"
    """It is on its way, or waits."""
    UNWELL = "unwell"


@dataclass(frozen=True, slots=True)
class Step:
    """One object on the way to the root cause."""

    subject: Subject
    summary: str
    """What it is, and how it stands."""
    since: datetime
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that somebody wants to know who asks why."""

    subject: Subject
    verdict: Verdict
    summary: str
    since: datetime
    steps: tuple[Step, ...]
    cause: Reason | None = None
    """The root cause: what the last step says that is more than news."""
    meanwhile: str = ""
    """What serves in the meantime; empty: that is no question here."""
    meanwhile_since: datetime | None = None
    """When the release that serves was made."""
    next: str = ""
    """What deployd does next by itself; empty: that is no question here."""
    next_at: datetime | None = None
    """When that is; None: at once, or when something else happens."""
    deadline_at: datetime | None = None
    """When it gives up."""
    directory: str | None = None
    """The folder that `where` of its reasons is in, where it is one of this host."""


async def explain(db: Database, machine: Machine) -> Explanation:
    """Of a machine as it was read a moment ago."""
    chain, verdict = await _chain(db, machine)
    known = await moments(db, machine.world_id, [one.id for one in (machine, *chain)])
    steps = tuple(
        Step(subject_of(one), described(one, moment), moment.since, one.facts.reason)
        for one in chain
        if (moment := known.get(one.id)) is not None
    )
    mine = known[machine.id]
    service = await _service(db, machine)
    serving, made = "", None
    if service is not None and verdict is not Verdict.WELL:
        serving, made = await _serving(db, service)
    then = None
    if chain:
        moving = [(one, known[one.id]) for one in chain if one.id in known]
        waits = any(moment.turn_of is not None for _, moment in moving)
        world = await worlds.by_id(db, machine.world_id) if waits else None
        then = next_of(moving, datetime.now(UTC), world)
    return Explanation(
        subject_of(machine),
        verdict,
        described(machine, mine),
        mine.since,
        steps,
        _cause(steps),
        serving,
        made,
        next=then.what if then else "",
        next_at=then.at if then else None,
        deadline_at=then.deadline_at if then else None,
        directory=_directory(chain or [machine]),
    )


def _cause(steps: Sequence[Step]) -> Reason | None:
    """The last that is more than news; else the last."""
    said = [one.reason for one in reversed(steps) if one.reason is not None]
    wrong = (one for one in said if one.code not in CODES or CODES[one.code].fault is not None)
    return next(wrong, said[0] if said else None)


async def _chain(db: Database, machine: Machine) -> tuple[list[Machine], Verdict]:
    """What leads to the root cause, and how it all stands; nothing where it is well."""
    match machine.facts:
        case ServiceFacts():
            return await _chain_of_service(db, machine, machine.facts)
        case DeploymentFacts():
            chain = [*await _change_of(db, machine), *await _below(db, machine)]
            if machine.state == DeploymentState.SUCCEEDED:
                return [], Verdict.WELL
            return chain, Verdict.UNWELL if machine.state in _ENDED else Verdict.WORKING
        case ChangeFacts():
            return await _chain_of_change(db, machine, machine.facts)
        case ResourceFacts():
            if machine.state == ResourceState.DELETED:
                return [], Verdict.WELL
            if machine.state == ResourceState.READY:
                well = machine.facts.health in _WELL
                return ([], Verdict.WELL) if well else ([machine], Verdict.UNWELL)
            return [machine], Verdict.UNWELL if machine.state == ResourceState.FAILED else Verdict.WORKING


async def _chain_of_service(
    db: Database, machine: Machine, facts: ServiceFacts
) -> tuple[list[Machine], Verdict]:
    """Itself, where it is unwell; then the deployment that is under way, or that failed last."""
    unwell = facts.serving is not None and not facts.suspended and facts.health not in _WELL
    attempt = await _attempt(db, machine, facts)
    chain = [machine] if unwell else []
    if unwell and attempt is None:
        chain += await _unready(db, machine.world_id, facts.resources)
    if attempt is not None:
        chain += [*await _change_of(db, attempt), *await _below(db, attempt)]
    if unwell or (attempt is not None and attempt.state in _BAD):
        coming = facts.health in (Health.PROGRESSING, Health.UNKNOWN) and attempt is None
        return chain, Verdict.WORKING if coming else Verdict.UNWELL
    return chain, Verdict.WELL if attempt is None else Verdict.WORKING


async def _attempt(db: Database, machine: Machine, facts: ServiceFacts) -> Machine | None:
    """The deployment that matters: the one under way or waiting, else the newest, if that failed."""
    for turn in (facts.current, facts.next):
        if turn is not None and (found := await machines.get(db, machine.world_id, turn.deployment_id)):
            return found if found.state not in _ENDED or found.state in _BAD else None
    newest = await machines.list_deployments(db, machine.world_id, machine.id, 1)
    return newest[0] if newest and (newest[0].state in _BAD or newest[0].state not in _ENDED) else None


async def _chain_of_change(
    db: Database, machine: Machine, facts: ChangeFacts
) -> tuple[list[Machine], Verdict]:
    if machine.state == ChangeState.DONE:
        return [], Verdict.WELL
    chain = [machine]
    made = {one.id: one for one in await machines.list_many(db, machine.world_id, facts.deployments)}
    for one in (made[key] for key in facts.deployments if key in made):
        if one.state != DeploymentState.SUCCEEDED:
            chain += await _below(db, one)
    return chain, Verdict.UNWELL if machine.state in _CHANGE_ENDED else Verdict.WORKING


async def _change_of(db: Database, deployment: Machine) -> list[Machine]:
    change = deployment.change_id and await machines.get(db, deployment.world_id, deployment.change_id)
    return [change] if change else []


async def _below(db: Database, deployment: Machine) -> list[Machine]:
    """The deployment, and the resources that it failed for or waits for."""
    facts = deployment.facts
    assert isinstance(facts, DeploymentFacts)
    reason = facts.reason
    blamed = reason is not None and reason.subject is not None and reason.subject.kind is SubjectKind.RESOURCE
    if not blamed and deployment.state != DeploymentState.PROVISIONING:
        return [deployment]
    return [deployment, *await _unready(db, deployment.world_id, facts.resources)]


async def _unready(db: Database, world_id: int, ids: Sequence[UUID]) -> list[Machine]:
    found = await machines.list_many(db, world_id, ids)
    return [one for one in found if (await _chain(db, one))[1] is not Verdict.WELL]


async def _service(db: Database, machine: Machine) -> Machine | None:
    if machine.kind is MachineKind.SERVICE:
        return machine
    if machine.kind is not MachineKind.DEPLOYMENT or machine.service_id is None:
        return None
    return await machines.get(db, machine.world_id, machine.service_id)


async def _serving(db: Database, service: Machine) -> tuple[str, datetime | None]:
    """What callers get while it is not as it should be."""
    facts = service.facts
    assert isinstance(facts, ServiceFacts)
    if facts.suspended:
        return f"{facts.name} is suspended: nothing serves", None
    release = facts.serving and await releases.get(db, service.world_id, facts.serving)
    if not release:
        return f"nothing serves: {facts.name} has had no release that became healthy", None
    at = f" at {facts.url or facts.address}" if facts.url or facts.address else ""
    if facts.health is Health.HEALTHY:
        return f"release {release.number} serves on{at}", release.created_at
    return (
        f"release {release.number} should serve{at}, and is {facts.health.value.lower()}",
        release.created_at,
    )


def _directory(chain: Sequence[Machine]) -> str | None:
    for one in chain:
        if isinstance(one.facts, ChangeFacts | DeploymentFacts) and one.facts.source.directory is not None:
            return one.facts.source.directory
    return None
