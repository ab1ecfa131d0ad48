"""What becomes of resources, for a plan's items. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from deployd.engine.comparing import compared, text_of
from deployd.engine.provisioning import Need
from deployd.model.facts import ResourceFacts
from deployd.model.machine import Machine
from deployd.model.plan import PlanAction, PlanField, PlanItem, PlanKind
from deployd.model.state import Ownership, ResourceState

__all__ = ["Asked", "Leaving", "resource_items"]


@dataclass(slots=True)
class Asked:
    """A resource of the manifest."""

    need: Need
    services: list[str] = field(default_factory=list)
    """Those that need it and are deployed."""
    left: list[str] = field(default_factory=list)
    """Those that need it and are not."""
    forced: tuple[str, ...] = ()
    """The settings for which another one has to take its place."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A resource that services which are deployed have, and need no more."""

    machine: Machine
    services: frozenset[str]


def resource_items(
    asked: Sequence[Asked], leaving: Sequence[Leaving], names: Mapping[UUID, str]
) -> Iterator[PlanItem]:
    """What becomes of them. `names`: of the services that live, by their ids."""
    gone = {one.machine.id: one for one in leaving}
    for one in asked:
        other = gone.get(one.need.id)
        if other is not None and not one.services:
            yield _left(other, names)
        else:
            yield _asked(one, names, frozenset() if other is None else other.services)
    wanted = {one.need.id for one in asked}
    for other in leaving:
        if other.machine.id not in wanted:
            yield _left(other, names)


def _asked(one: Asked, names: Mapping[UUID, str], gone: frozenset[str]) -> PlanItem:
    need, living = one.need, one.need.living
    who = _listed(one.services or one.left)
    verb = "need" if len(one.services or one.left) > 1 else "needs"
    if not one.services:
        why = f"{who} {verb} it and {'are left as they are' if verb == 'need' else 'is left as it is'}"
        return PlanItem(PlanKind.RESOURCE, need.name, PlanAction.NOTHING, why=why)
    if living is None:
        fields = (PlanField("slug", None, need.offer.definition.slug), *compared({}, _settings(need)))
        return PlanItem(PlanKind.RESOURCE, need.name, PlanAction.CREATE, fields, f"{who} {verb} it")
    facts = living.facts
    assert isinstance(facts, ResourceFacts)
    changed = compared(_settings(need, facts.settings), _settings(need))
    if one.forced:
        why = f"{', '.join(one.forced)} cannot be changed in place: a new one is made, and its data is lost"
        return PlanItem(PlanKind.RESOURCE, need.name, PlanAction.REPLACE, changed, why)
    had = [names[user] for user in facts.users if user in names]
    has = sorted({*had, *one.services} - gone)
    more: list[PlanField] = []
    whys: list[str] = []
    if changed:
        whys.append(f"{who} {verb} it so")
    if facts.ownership is Ownership.ORPHANED:
        more.append(PlanField("ownership", facts.ownership, Ownership.MANAGED))
        whys.append("it is taken back with its data")
    if sorted(had) != has:
        more.append(PlanField("services", _listed(sorted(had)) or None, _listed(has)))
        whys.append(f"{_listed(has)} {'have' if len(has) > 1 else 'has'} it then")
    if living.state == ResourceState.FAILED:
        whys.append("it failed, and is tried again")
    if not whys:
        return PlanItem(PlanKind.RESOURCE, need.name, PlanAction.NOTHING, why=f"{who} {verb} it as it is")
    return PlanItem(PlanKind.RESOURCE, need.name, PlanAction.CHANGE, (*changed, *more), "; ".join(whys))


def _left(one: Leaving, names: Mapping[UUID, str]) -> PlanItem:
    """With its last service it is orphaned, if it is ours."""
    facts = one.machine.facts
    assert isinstance(facts, ResourceFacts)
    had = sorted(names[user] for user in facts.users if user in names)
    rest = [name for name in had if name not in one.services]
    who = f"{_listed(sorted(one.services))} {'need' if len(one.services) > 1 else 'needs'} it no more"
    if rest or facts.ownership is not Ownership.MANAGED:
        fields = (PlanField("services", _listed(had) or None, _listed(rest) or None),)
        return PlanItem(PlanKind.RESOURCE, facts.name, PlanAction.CHANGE, fields, who)
    fields = (PlanField("ownership", facts.ownership, Ownership.ORPHANED),)
    notes = (f"to end it with its data: deployd resource delete {facts.name}",)
    why = f"{who}; it is kept with its data"
    return PlanItem(PlanKind.RESOURCE, facts.name, PlanAction.ORPHAN, fields, why, notes=notes)


def _settings(need: Need, settings: Mapping[str, object] | None = None) -> dict[str, str]:
    """By path: `params` are the developer's, `settings` the operator's."""
    definition = need.offer.definition
    developers = definition.params.keys() - definition.settings.keys()
    return {
        f"{'params' if name in developers else 'settings'}.{name}": text_of(value)
        for name, value in (need.settings if settings is None else settings).items()
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
