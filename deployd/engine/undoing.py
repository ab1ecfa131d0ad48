"""How an attempt that came to nothing is undone: nothing of it runs, and what served before serves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from deployd.drivers.api import Deployer, Failed, ReleaseSpec, ServiceRef, Wait
from deployd.engine import rollout
from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.engine.released import release_spec, where
from deployd.engine.replacing import bring_back
from deployd.engine.routing import drain_seconds, route, targets, unroute
from deployd.engine.tasks import end_before, has_before
from deployd.model.facts import DeploymentFacts
from deployd.model.machine import Machine
from deployd.model.reason import Reason
from deployd.model.state import Health

__all__ = ["has_nothing_to_undo", "undone"]

_AGAIN = timedelta(seconds=0.15)


def has_nothing_to_undo(facts: DeploymentFacts) -> bool:
    """Whether no driver was asked for anything that would have to be taken back."""
    return facts.release_id is None or not (facts.touched or has_before(facts))


async def undone(context: Context, machine: Machine) -> Outcome | None:
    """None once everything is as it was before this attempt."""
    facts = machine.facts
    assert isinstance(facts, DeploymentFacts)
    if has_nothing_to_undo(facts):
        return None
    deployer, service = await where(context, machine)
    if not facts.touched:
        return await end_before(context, machine, service, facts)
    spec = facts.restores and await release_spec(context, machine.world_id, facts.restores)
    if spec and spec.spec.schedule is None:
        back = bring_back if rollout.strategy(facts) == rollout.RECREATE else _route_back
        if (wait := await back(context, deployer, service, spec, facts)) is not None:
            return wait
        progress = await deployer.apply(service, spec, alone=True)
    else:
        await unroute(context, service, "is not served")
        progress = await deployer.destroy(service, None if spec else facts.release_id)
    if isinstance(progress, Wait):
        return Stay(after=timedelta(seconds=progress.seconds))
    if isinstance(progress, Failed):
        reason = replace(progress.reason, evidence=_both(progress.reason, facts.reason))
        return Go("fail", facts=replace(facts, reason=reason), reason=reason)
    return None


async def _route_back(
    context: Context, deployer: Deployer, service: ServiceRef, spec: ReleaseSpec, facts: DeploymentFacts
) -> Stay | None:
    """What served before is reached again, where that is routed; None once nothing is in its way."""
    if not facts.spec.ports or await drain_seconds(context, service.world_id) is None:
        return None
    if isinstance(await deployer.apply(service, spec, alone=False), Failed):
        return None  # the caller's own call says it
    observation = await deployer.observe(service)
    before, mine = observation.of(spec.release_id), facts.release_id and observation.of(facts.release_id)
    if before is None or before.address is None:
        return None
    starting = before.health in (Health.PROGRESSING, Health.MISSING)
    if starting and mine and mine.health is Health.HEALTHY:
        return Stay(after=_AGAIN)  # it was stopped already: until it is back, what is cancelled serves on
    routed = await route(context, service, spec.spec, targets(observation, {spec.release_id: 100}))
    return Stay(after=_AGAIN) if routed.draining else None


def _both(second: Reason, first: Reason | None) -> str:
    return second.evidence if first is None else f"{second.evidence}\nafter: {first.summary}".strip()
