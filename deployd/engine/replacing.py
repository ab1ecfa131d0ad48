"""The acts of a rollout: making room for the new release, splitting requests, and the way back.

Each is level-triggered: it looks at what is there, does the next thing, and may be repeated as a whole.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from deployd.drivers.api import Deployer, Done, Failed, Observation, Progress, ReleaseSpec, ServiceRef, Wait
from deployd.engine import rollout
from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.engine.released import release_spec
from deployd.engine.routing import route, targets, unroute
from deployd.model.facts import DeploymentFacts
from deployd.model.state import Health

__all__ = ["bring_back", "make_alone", "make_room", "watch_canary"]

_AGAIN = timedelta(seconds=0.15)
_LOOK = timedelta(seconds=1)
"""Between two looks at a canary."""
_WHY = "is being replaced"


async def make_room(
    context: Context, deployer: Deployer, service: ServiceRef, facts: DeploymentFacts
) -> Outcome | None:
    """Of a recreate: what serves has ended before the new release starts. None once that is so."""
    before = rollout.replaced(facts)
    if before is None or rollout.strategy(facts) != rollout.RECREATE:
        return None
    if (await unroute(context, service, _WHY, soon=True)).draining:
        return Stay(after=_AGAIN)
    ended = await deployer.destroy(service, before)
    if isinstance(ended, Wait):
        return Stay(after=timedelta(seconds=ended.seconds))
    if isinstance(ended, Failed):
        return Go("roll_back", reason=ended.reason)
    return None


async def watch_canary(
    context: Context, deployer: Deployer, service: ServiceRef, facts: DeploymentFacts
) -> Outcome:
    """One look at a canary in a step, whose shares are routed; the next step once its time is over."""
    assert facts.release_id is not None
    assert facts.restores is not None
    seen = await deployer.observe(service)
    if (reason := rollout.unwell(facts, seen.of(facts.release_id))) is not None:
        return Go("roll_back", reason=reason)
    before = seen.of(facts.restores)
    if before is None or before.health is Health.MISSING:  # most requests are its still
        spec = await release_spec(context, service.world_id, facts.restores)
        await deployer.apply(service, spec, alone=False)
    await route(context, service, facts.spec, targets(seen, rollout.shares(facts)))
    now = datetime.now(UTC)
    if (left := rollout.left(facts, now)) > timedelta():
        return Stay(after=min(left, _LOOK))
    return Stay(after=timedelta(), facts=rollout.next_step(facts, now))


async def make_alone(
    deployer: Deployer, service: ServiceRef, facts: DeploymentFacts, spec: ReleaseSpec, seen: Observation
) -> Progress:
    """Done once nothing runs beside the new release but the one that is kept, if any."""
    kept = rollout.keeps(facts)
    if kept is None:
        return await deployer.apply(service, spec, alone=True)
    for release_id in {one.release_id for one in seen.instances} - {facts.release_id, kept}:
        ended = await deployer.destroy(service, release_id)
        if not isinstance(ended, Done):
            return ended
    return Done()


async def bring_back(
    context: Context, deployer: Deployer, service: ServiceRef, spec: ReleaseSpec, facts: DeploymentFacts
) -> Stay | None:
    """Of a recreate that came to nothing: never both at once. None once what served before is up and reached.

    What cannot be done says so in the caller's own call.
    """
    assert facts.release_id is not None
    if (await deployer.observe(service)).of(facts.release_id) is not None:
        if (await unroute(context, service, _WHY, soon=True)).draining:
            return Stay(after=_AGAIN)
        ended = await deployer.destroy(service, facts.release_id)
        if isinstance(ended, Wait):
            return Stay(after=timedelta(seconds=ended.seconds))
    started = await deployer.apply(service, spec, alone=False)
    if not isinstance(started, Done):
        return Stay(after=timedelta(seconds=started.seconds)) if isinstance(started, Wait) else None
    seen = await deployer.observe(service)
    before = seen.of(spec.release_id)
    if before is None or before.health in (Health.PROGRESSING, Health.MISSING):
        return Stay(after=_AGAIN)
    await route(context, service, spec.spec, targets(seen, {spec.release_id: 100}))
    return None
