"""How a new release takes the place of the one that serves: what its strategy means at each moment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from deployd.drivers.api import InstanceStatus, Supports
from deployd.model.facts import DeploymentFacts, ServiceFacts
from deployd.model.reason import Fault, Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import DeploymentState, Health

__all__ = [
    "BLUE_GREEN",
    "CANARY",
    "RECREATE",
    "ROLLING",
    "begun",
    "described",
    "duration",
    "is_split",
    "keeps",
    "kept",
    "left",
    "next_step",
    "progress",
    "refusals",
    "replaced",
    "shares",
    "strategy",
    "unwell",
]

ROLLING, BLUE_GREEN, CANARY, RECREATE = "rolling", "blue-green", "canary", "recreate"
_LONGEST = timedelta(hours=20)
"""Of all steps of a canary: the state that it is in has its end, and its release's health comes first."""


# -- in planning


def refusals(spec: ServiceSpec, supports: Supports, *, routed: bool) -> Iterator[Reason]:
    """Why the service cannot be rolled out like this here; `routed`: its world has an entrypoint."""
    chosen = spec.rollout.strategy
    switches = (BLUE_GREEN, CANARY)
    can = [one for one in sorted(supports.rollouts) if one not in switches or (routed and spec.ports)]
    if chosen not in can:
        why = "this world cannot do that"
        if chosen in supports.rollouts:
            why = "the service has no port" if routed else "this world has no entrypoint"
            why = f"that switches requests, and {why}"
        yield Reason(
            "ROLLOUT_NOT_HERE",
            f"service {spec.name}: `rollout: {chosen}`: {why}",
            remedy=f"Use {' or '.join(can)} in this world.",
            key="rollout",
        )
    elif chosen == CANARY and _total(spec) > _LONGEST:
        yield Reason(
            "ROLLOUT_TOO_LONG",
            f"service {spec.name}: its canary would take {_total(spec)}",
            remedy=f"Make its steps, or their interval, less: {_LONGEST} at most.",
            key="rollout.interval",
        )


def described(spec: ServiceSpec) -> Iterator[str]:
    """What a plan says of it, for people."""
    rollout = spec.rollout
    if rollout.strategy == CANARY:
        steps = ", ".join(f"{one} %" for one in rollout.steps) or "no steps"
        yield f"roll out as canary: {steps}, {rollout.interval:g} s each"
    elif rollout.strategy == BLUE_GREEN:
        yield f"roll out as blue-green, the release before is kept for {rollout.keep:g} s"
    elif rollout.strategy != ROLLING:
        yield f"roll out as {rollout.strategy}"


# -- of an attempt


def replaced(facts: DeploymentFacts) -> UUID | None:
    """The release that makes room for this one; None where nothing does."""
    return None if facts.restores == facts.release_id else facts.restores


def strategy(facts: DeploymentFacts) -> str:
    """How this attempt goes: `rolling` where nothing is replaced, and nobody who goes back tries it out."""
    chosen = facts.spec.rollout.strategy
    if replaced(facts) is None or (chosen == CANARY and facts.purpose == "rollback"):
        return ROLLING
    return chosen


def duration(facts: DeploymentFacts) -> timedelta:
    """How long requests are split, beyond what every rollout takes."""
    return _total(facts.spec) if strategy(facts) == CANARY else timedelta()


def _total(spec: ServiceSpec) -> timedelta:
    return len(spec.rollout.steps) * timedelta(seconds=spec.rollout.interval)


def is_split(facts: DeploymentFacts) -> bool:
    """Whether a canary is at one of its steps, or has them before it; False once all requests are its own."""
    return strategy(facts) == CANARY and (facts.step or 0) < len(facts.spec.rollout.steps)


def begun(facts: DeploymentFacts, mine: InstanceStatus, now: datetime) -> DeploymentFacts:
    """The first step of a canary whose release became healthy."""
    return replace(facts, step=0, since=now, restarts=mine.restarts, reason=None)


def next_step(facts: DeploymentFacts, now: datetime) -> DeploymentFacts:
    """The next step of a canary, or the end of them; its release has to be healthy for that too."""
    assert facts.step is not None
    return replace(facts, step=facts.step + 1, since=now, healthy_by=now + _patience(facts))


def _patience(facts: DeploymentFacts) -> timedelta:
    return timedelta(seconds=facts.spec.health.timeout)


def shares(facts: DeploymentFacts) -> Mapping[UUID, int]:
    """The percentages of requests that releases get at this step of a canary."""
    assert facts.release_id is not None
    assert facts.restores is not None
    percent = facts.spec.rollout.steps[facts.step or 0]
    return {facts.restores: 100 - percent, facts.release_id: percent}


def left(facts: DeploymentFacts, now: datetime) -> timedelta:
    """How long a canary's step is watched still."""
    assert facts.since is not None
    return facts.since + timedelta(seconds=facts.spec.rollout.interval) - now


def unwell(facts: DeploymentFacts, mine: InstanceStatus | None) -> Reason | None:
    """Why a canary goes back: its release is not healthy, or was not in the meantime."""
    at = f"service {facts.service}: its new release"
    share = f"while {shares(facts)[facts.release_id]} % of requests went to it" if facts.release_id else ""
    if mine is None or mine.health is Health.MISSING:
        return (mine and mine.reason) or Reason("MISSING", f"{at} ended {share}", fault=Fault.FAILED)
    if mine.health is not Health.HEALTHY:
        return mine.reason or Reason("DEGRADED", f"{at} was not healthy {share}")
    if mine.restarts > facts.restarts:
        return Reason("RESTARTED", f"{at} ended and was started again {share}", remedy="See what it logged.")
    return None


def keeps(facts: DeploymentFacts) -> UUID | None:
    """The release that runs on beside this one after the switch."""
    lasting = strategy(facts) == BLUE_GREEN and facts.spec.rollout.keep > 0
    return replaced(facts) if lasting else None


def progress(facts: DeploymentFacts, state: str, now: datetime) -> str | None:
    """How far a rollout is, for people; None where its state says all."""
    if state == DeploymentState.VERIFYING and facts.step is not None and facts.since is not None:
        if not is_split(facts):
            return "canary: all requests"
        percent = facts.spec.rollout.steps[facts.step]
        return f"canary: {percent} % for {_seconds(left(facts, now))} s more"
    if state == DeploymentState.SUCCEEDED and facts.kept_until is not None and facts.kept_until > now:
        rest = _seconds(facts.kept_until - now)
        return f"blue-green: the release before is kept for {rest} s more"
    return None


def _seconds(rest: timedelta) -> int:
    return max(0, round(rest.total_seconds()))


# -- of a service


def kept(facts: ServiceFacts, now: datetime) -> UUID | None:
    """The release that may run beside the one it serves at this moment."""
    return facts.kept if facts.kept_until is not None and facts.kept_until > now else None
