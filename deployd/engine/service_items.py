"""What becomes of services, for a plan's items. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deployd.engine.affected import Standing
from deployd.engine.comparing import compared, flat
from deployd.engine.rollout import BLUE_GREEN, CANARY, RECREATE
from deployd.model.facts import ChangeFacts
from deployd.model.plan import PlanAction, PlanField, PlanItem, PlanKind
from deployd.model.release import Release
from deployd.model.spec import ServiceSpec
from deployd.model.state import Health, ServiceState

__all__ = ["Looked", "dropped", "service_item"]


@dataclass(frozen=True, slots=True)
class Looked:
    """A service of the manifest, and what is known of it."""

    spec: ServiceSpec
    standing: Standing | None = None
    left: str | None = None
    """Why it is left as it is; None: it is deployed."""
    beyond: tuple[PlanField, ...] = ()
    """What is otherwise beyond its specification: its files, its secrets."""
    notes: tuple[str, ...] = ()

    @property
    def release(self) -> Release | None:
        """What it serves."""
        return self.standing.release if self.standing is not None else None


def service_item(one: Looked, facts: ChangeFacts) -> PlanItem:
    """What becomes of it."""
    spec, release = one.spec, one.release
    if one.left is not None:
        return PlanItem(PlanKind.SERVICE, spec.name, PlanAction.NOTHING, why=one.left)
    fields = (*compared({} if release is None else flat(release.spec), flat(spec)), *one.beyond)
    if release is None:
        action, how = (
            PlanAction.CREATE,
            "it is not there yet" if one.standing is None else "it serves nothing yet",
        )
    elif spec.schedule is not None:
        action, how = PlanAction.CHANGE, "from its next run on it is the new release"
    else:
        action, how = PlanAction.ROLL, _rolled(one, release.number)
    causes = () if fields else _causes(one, facts)
    why = "; ".join((*causes, how))
    return PlanItem(PlanKind.SERVICE, spec.name, action, fields, why, notes=one.notes)


def _causes(one: Looked, facts: ChangeFacts) -> Iterator[str]:
    """Why it is deployed though nothing of it is otherwise: the first that is so."""
    assert one.standing is not None
    state = one.standing
    if one.spec.name in facts.services:
        yield "it was named"
    elif facts.everything:
        yield "everything was asked for"
    elif state.coming is not None:
        yield "something else is being deployed to it"
    elif state.facts.wish is not None:
        yield f"it is about to {state.facts.wish}"
    elif state.facts.health is Health.DEGRADED:
        yield "it is degraded"
    elif _runs(state):
        yield "its release does not say what it was made of"


def _runs(standing: Standing) -> bool:
    return standing.state in (ServiceState.SERVING, ServiceState.DEPLOYING) and not standing.facts.suspended


def _rolled(one: Looked, number: int) -> str:
    """How its rollout takes the place of the release with this number."""
    assert one.standing is not None
    rollout, before = one.spec.rollout, f"release {number}"
    if not _runs(one.standing):
        return f"it is suspended at {before}, and starts again with the new release"
    if rollout.strategy == RECREATE:
        return f"recreate: {before} ends before the new release starts"
    if rollout.strategy == BLUE_GREEN:
        kept = f", {before} is kept for {rollout.keep:g} s" if rollout.keep else f" from {before}"
        return f"blue-green: once it is healthy the new release gets all requests at once{kept}"
    if rollout.strategy == CANARY:
        steps = ", ".join(f"{share} %" for share in rollout.steps) or "no steps"
        return f"canary: the new release gets {steps} of the requests, {rollout.interval:g} s each, then all"
    return f"rolling: {before} ends once the new release is healthy"


def dropped(
    present: Mapping[str, Release], manifest: Mapping[str, ServiceSpec], facts: ChangeFacts
) -> Iterator[PlanItem]:
    """Services that came from this source and that its manifest no longer names: they are left alone."""
    mine = facts.source
    for name, release in sorted(present.items()):
        its = release.source
        known = mine.directory is not None or mine.repository is not None
        here = (its.directory, its.repository, its.ref) == (mine.directory, mine.repository, mine.ref)
        if known and here and name not in manifest:
            why = "the manifest no longer names it, and it is left as it is"
            notes = (f"to end it: deployd retire {name}",)
            yield PlanItem(PlanKind.SERVICE, name, PlanAction.NOTHING, why=why, notes=notes)
