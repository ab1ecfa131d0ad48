"""Holds: which deployments they forbid, how people are told, and how services write and lift them.

A hold of the service itself forbids every deployment but a rollback; a hold of a release every deployment
of that release's fingerprint. A rollback holds the release that it leaves from the moment in which it is
asked for, so that nothing slips in beside it; should it come to nothing, its hold goes with it. Whoever
goes back to a held release by its number lifts the hold of that release.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.machines import RUNNERS
from deployd.model.actor import ENGINE
from deployd.model.facts import DeploymentFacts, ServiceFacts
from deployd.model.hold import Hold
from deployd.model.machine import Machine, Request
from deployd.model.reason import Reason
from deployd.model.release import Release
from deployd.model.state import DeploymentState, MachineKind
from deployd.store import machines, releases
from deployd.store.commit import Post

__all__ = [
    "answer_hold",
    "forbids",
    "given_up",
    "leaving",
    "moment",
    "refusal",
    "refusing",
    "settle",
    "told",
]

_RUNNER = RUNNERS[MachineKind.SERVICE]


def moment(at: datetime) -> str:
    """A time for people, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


# -- what they forbid


def forbids(
    holds: Iterable[Hold], fingerprint: str, release_id: UUID | None = None, *, rollback: bool = False
) -> Hold | None:
    """The hold that stands against a deployment of this; None where none does."""
    for one in holds:
        if one.release_id is None:
            if not rollback:
                return one
        elif one.release_id == release_id or (one.fingerprint and one.fingerprint == fingerprint):
            return one
    return None


def refusing(holds: Iterable[Hold], facts: DeploymentFacts) -> Hold | None:
    """The same for this attempt."""
    return forbids(holds, facts.fingerprint, facts.release_id, rollback=facts.purpose == "rollback")


def _what(hold: Hold) -> str:
    note = f" ({hold.note})" if hold.note else ""
    which = "held" if hold.release_id is None else f"held, as what release {hold.number} was made of,"
    return f"{which} by {hold.by} since {moment(hold.at)}{note}"


def told(service: str, hold: Hold) -> str:
    """Why a change leaves the service as it is, and how to lift that."""
    return f"{_what(hold)}; to lift it: deployd hold {service} --lift"


def refusal(service: str, hold: Hold) -> Reason:
    """Why a deployment is refused."""
    return Reason(
        "HELD", f"service {service} is {_what(hold)}", remedy=f"Lift it: deployd hold {service} --lift"
    )


# -- of a rollback


async def leaving(
    context: Context, machine: Machine, target: Release, rollback: UUID, by: str, at: datetime
) -> tuple[Hold, ...]:
    """The service's holds once somebody goes back to `target`: that is free, and what is served is held."""
    facts = _facts(machine)
    holds = tuple(one for one in facts.holds if not _is_of(one, target))
    left = facts.serving and await releases.get(context.db, machine.world_id, facts.serving)
    if not left or left.id == target.id or (left.fingerprint and left.fingerprint == target.fingerprint):
        return holds
    if any(one.release_id == left.id for one in holds):
        return holds  # somebody said so already, perhaps with a note
    note = f"rolled back to release {target.number}"
    return (*holds, Hold(by, at, note, left.id, left.number, left.fingerprint, rollback))


def _is_of(hold: Hold, release: Release) -> bool:
    same = hold.fingerprint != "" and hold.fingerprint == release.fingerprint
    return hold.release_id is not None and (hold.release_id == release.id or same)


async def settle(context: Context, machine: Machine, deployment: Machine) -> tuple[Hold, ...]:
    """The service's holds now that this deployment has ended; `machine` is as it was while that worked."""
    facts, ended = _facts(machine), deployment.facts
    assert isinstance(ended, DeploymentFacts)
    if ended.purpose != "rollback":
        return facts.holds
    # What it left is what was served when its turn came, not when it was asked for.
    holds = tuple(one for one in facts.holds if one.rollback != deployment.id)
    target = ended.release_id and await releases.get(context.db, machine.world_id, ended.release_id)
    if deployment.state != DeploymentState.SUCCEEDED or not target:
        return holds
    before = replace(machine, facts=replace(facts, holds=holds))
    return await leaving(context, before, target, deployment.id, ended.requested_by, ended.requested_at)


def given_up(machine: Machine) -> tuple[Post, ...]:
    """Of a rollback that was cancelled, perhaps before its turn came: its service hears of it."""
    facts = machine.facts
    if not isinstance(facts, DeploymentFacts) or facts.purpose != "rollback" or machine.service_id is None:
        return ()
    return (Post(machine.world_id, machine.service_id, "unhold", ENGINE, {"rollback": str(machine.id)}),)


# -- requests of a service


async def answer_hold(context: Context, machine: Machine, request: Request) -> Outcome:
    """Requests: hold, lift (of one release, or of all), unhold (from a rollback that was given up)."""
    facts, payload = _facts(machine), request.payload
    if request.trigger == "unhold":
        rollback = UUID(str(payload["rollback"]))
        return Stay(facts=replace(facts, holds=tuple(h for h in facts.holds if h.rollback != rollback)))
    named = payload.get("release_id")
    release_id = None if named is None else UUID(str(named))
    rest = tuple(one for one in facts.holds if one.release_id != release_id)
    if request.trigger == "lift":
        rest = rest if release_id is not None else ()
        if rest == facts.holds:
            return Stay()
        reason = Reason("HOLD_LIFTED", f"service {facts.name}: a hold was lifted by {request.actor}")
        return _tell(machine, replace(facts, holds=rest), reason)
    release = release_id and await releases.get(context.db, machine.world_id, release_id)
    if release_id is not None and (not release or release.service_id != machine.id):
        return Stay()
    hold = Hold(
        request.actor,
        datetime.fromisoformat(str(payload["at"])),
        str(payload.get("note", "")),
        release_id,
        release.number if release else None,
        release.fingerprint if release else "",
    )
    what = "itself" if not release else f"release {release.number}"
    reason = Reason("HELD", f"service {facts.name}: {what} is held by {request.actor}")
    posts = await _stop(context, machine, hold, request.actor)
    return _tell(machine, replace(facts, holds=(*rest, hold)), reason, posts)


def _tell(machine: Machine, facts: ServiceFacts, reason: Reason, posts: tuple[Post, ...] = ()) -> Outcome:
    """A transition where its state has one for that."""
    if _RUNNER.allows("report", machine.state):
        return Go("report", facts=facts, reason=reason, posts=posts)
    return Stay(facts=facts, posts=posts)


async def _stop(context: Context, machine: Machine, hold: Hold, actor: str) -> tuple[Post, ...]:
    """What is under way against the hold is cancelled, so that the service stays at what it serves."""
    facts = _facts(machine)
    turns = [one.deployment_id for one in (facts.current, facts.next) if one is not None]
    because = {"because": f"service {facts.name} is held", "code": "HELD"}
    return tuple(
        Post(machine.world_id, one.id, "cancel", actor, because)
        for one in await machines.list_many(context.db, machine.world_id, turns)
        if isinstance(one.facts, DeploymentFacts) and refusing((hold,), one.facts)
    )


def _facts(machine: Machine) -> ServiceFacts:
    assert isinstance(machine.facts, ServiceFacts)
    return machine.facts
