"""What a service needs of resources: what of that is there, what is asked for, who gives it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.catalog import Offered, offered
from deployd.drivers.api import ResourceSpec
from deployd.engine.birth import birth
from deployd.engine.context import Context
from deployd.engine.naming import id_of
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.engine.resources import facts_of
from deployd.errors import Unsupported
from deployd.machines import RUNNERS
from deployd.model.actor import ENGINE
from deployd.model.facts import DeploymentFacts, ResourceFacts
from deployd.model.machine import Machine
from deployd.model.reason import Fault, Reason, Subject, SubjectKind
from deployd.model.spec import ResourceNeed, ServiceSpec
from deployd.model.state import Health, MachineKind, Ownership, ResourceState
from deployd.store import machines
from deployd.store.commit import Birth, Post

__all__ = ["Need", "Provisions", "awake", "give_back", "needs_of", "planned", "provide", "replacing"]

_SETTLED = tuple(str(one.name) for one in RUNNERS[MachineKind.RESOURCE].table.states if one.settled)
_SOON = timedelta(seconds=0.3)
_PATIENCE = timedelta(seconds=30)
"""For a resource that is there and unwell: it may be starting again."""


@dataclass(frozen=True, slots=True)
class Need:
    """One need of a service, with what answers it."""

    key: str
    """Of the manifest."""
    name: str
    id: UUID
    offer: Offered
    settings: Mapping[str, object]
    living: Machine | None
    said: Mapping[str, object]
    """The parameters that the manifest gives."""


async def needs_of(context: Context, world_id: int, spec: ServiceSpec) -> list[Need]:
    """What the release needs. Raises Unsupported for a slug that the world cannot make."""
    found: list[Need] = []
    if not spec.resources:
        return found
    world = await context.world(world_id)
    there = offered(world.capabilities)
    for key, need in spec.resources.items():
        if need.slug not in there:
            raise Unsupported(
                f"{spec.name}: world {world.name} cannot make `{need.slug}`, which resources.{key} asks for",
                remedy=f"It can make: {', '.join(there) or 'nothing'}.",
            )
        name = need.name(spec.name, key)
        living = await machines.get_named(context.db, world_id, MachineKind.RESOURCE, name)
        resource_id = await id_of(context, world_id, MachineKind.RESOURCE, name)
        settings = _settings(there[need.slug], need, living)
        found.append(Need(key, name, resource_id, there[need.slug], settings, living, need.params))
    return found


def _settings(offer: Offered, need: ResourceNeed, living: Machine | None) -> dict[str, object]:
    """What the operator fixed wins over what the developer chose, which wins over the defaults.

    Of a resource that stands by itself it is what somebody chose by hand: no manifest changes that.
    """
    if living is not None and facts_of(living).standing:
        return {**facts_of(living).settings, **offer.definition.settings}
    defaults = {name: one.default for name, one in offer.definition.params.items()}
    return {**defaults, **need.params, **offer.definition.settings}


# -- planning


@dataclass(frozen=True, slots=True)
class Provisions:
    """What providing would do."""

    lines: tuple[str, ...] = ()
    refusals: tuple[Reason, ...] = ()
    replaces: tuple[str, ...] = ()
    """The resources that others would take the place of, with their data."""


async def planned(context: Context, world_id: int, service_id: UUID, spec: ServiceSpec) -> Provisions:
    """What providing would do, one line each, and why it cannot be. Changes nothing."""
    lines: list[str] = []
    refusals: list[Reason] = []
    replaces: list[str] = []
    try:
        needs = await needs_of(context, world_id, spec)
    except Unsupported as error:
        reason = Reason(error.code, error.message, remedy=error.remedy, key="resources")
        return Provisions(refusals=(reason,))
    for need in needs:
        slug = need.offer.definition.slug
        if need.living is None:
            lines.append(f"create resource {need.name} ({slug})")
            continue
        facts = facts_of(need.living)
        if facts.slug != slug or facts.capability != need.offer.capability:
            summary = (
                f"{spec.name}: resource {need.name} is a `{facts.slug}`, and would have to be a `{slug}`"
            )
            remedy = (
                "Give the new one another name; the data stays in the old one until you delete it by name."
            )
            refusals.append(Reason("RESOURCE_DIFFERS", summary, remedy=remedy, key=f"resources.{need.key}"))
        elif (differs := _differs(spec, need, facts)) is not None:
            refusals.append(replace(differs, key=f"resources.{need.key}"))
        elif facts.settings != need.settings:
            changed = [name for name, value in need.settings.items() if facts.settings.get(name) != value]
            if forced := await replacing(context, world_id, need):
                replaces.append(need.name)
                lines.append(f"replace resource {need.name}, its data is lost: {', '.join(forced)}")
            else:
                lines.append(f"change resource {need.name}: {', '.join(changed)}")
        elif service_id not in facts.users:
            how = "take back" if facts.ownership is Ownership.ORPHANED else "use"
            lines.append(f"{how} resource {need.name} with its data")
    return Provisions(tuple(lines), tuple(refusals), tuple(replaces))


async def replacing(context: Context, world_id: int, need: Need) -> tuple[str, ...]:
    """The settings for which its driver would have to put another resource in its place, if any."""
    if need.living is None or facts_of(need.living).settings == need.settings:
        return ()
    there = facts_of(need.living)
    driver = await context.replaces(world_id, there.capability)
    if driver is None:
        return ()
    world = await context.world(world_id)
    spec = ResourceSpec(world_id, world.name, need.id, need.name, there.type, dict(there.settings))
    return await driver.replaced_by(spec, need.settings)


def _differs(spec: ServiceSpec, need: Need, facts: ResourceFacts) -> Reason | None:
    """Why a manifest may not change the parameters that it says."""
    if facts.standing:
        other = [name for name, value in need.said.items() if facts.settings.get(name) != value]
        if other:
            given = " ".join(f"--param {name}=…" for name in other)
            return Reason(
                "RESOURCE_DIFFERS",
                f"{spec.name}: resource {need.name} stands by itself, with another {', '.join(other)}",
                remedy=f"Leave it out of the manifest, or: deployd resource update {need.name} {given}",
            )
    return None


# -- deployments


async def provide(context: Context, machine: Machine) -> Outcome:
    """Provisioning: ask for what is missing, wait for it, and go on once all of it does well."""
    facts = machine.facts
    assert isinstance(facts, DeploymentFacts)
    assert machine.service_id is not None
    needs = await needs_of(context, machine.world_id, facts.spec)
    ids = tuple(need.id for need in needs)
    if ids != facts.resources:  # on record before anything is asked for: whatever happens, it is given back
        return Stay(after=timedelta(), facts=replace(facts, resources=ids))
    births: list[Birth] = []
    posts: list[Post] = []
    waits, asked = False, list(facts.asked)
    for need in needs:
        if need.living is None:
            births.append(_birth(machine, facts, need))
            continue
        there = facts_of(need.living)
        if need.name not in facts.replaces and await replacing(context, machine.world_id, need):
            return _unforeseen(facts, need)
        use = _use(machine.world_id, need, machine.service_id, facts.requested_by)
        if need.living.state == ResourceState.FAILED:
            if need.id in asked:
                return _failed(facts, need, there)
            asked.append(need.id)
            posts.append(use)
        elif need.living.state != ResourceState.READY:
            waits = True
        elif machine.service_id not in there.users or there.settings != need.settings or there.suspended:
            posts.append(use)
        elif there.health is not Health.HEALTHY:
            if there.unwell_since and datetime.now(UTC) - there.unwell_since > _PATIENCE:
                return _failed(facts, need, there)
            posts.append(use)
    if births:
        return Stay(after=timedelta(), births=births, posts=posts)
    if posts:
        told = replace(facts, asked=tuple(asked), reason=_waiting(needs))
        return Stay(after=_SOON, facts=told, posts=posts)
    if waits:
        pending = [
            await machines.wait_for(context.db, machine.world_id, need.id, machine.id, _SETTLED)
            for need in needs
        ]
        told = replace(facts, reason=_waiting(needs))
        return Stay(None if any(pending) else timedelta(), facts=told if told != facts else None)
    return Go("provisioned", facts=replace(facts, touched=True, reason=None))


def _birth(machine: Machine, facts: DeploymentFacts, need: Need) -> Birth:
    assert machine.service_id is not None
    made = ResourceFacts(
        name=need.name,
        type=need.offer.definition.type,
        capability=need.offer.capability,
        slug=need.offer.definition.slug,
        users=(machine.service_id,),
        settings=need.settings,
    )
    return birth(
        machine.world_id, need.id, made, facts.requested_by, name=need.name, placement=machine.placement
    )


def _use(world_id: int, need: Need, service_id: UUID, actor: str) -> Post:
    payload = {"service_id": str(service_id), "settings": dict(need.settings)}
    return Post(world_id, need.id, "use", actor, payload)


def _waiting(needs: Sequence[Need]) -> Reason:
    names = ", ".join(need.name for need in needs)
    return Reason("WAITING_FOR_RESOURCES", f"waits for {names}")


def _unforeseen(facts: DeploymentFacts, need: Need) -> Go:
    """Nobody looked at a plan that says so."""
    reason = Reason(
        "REPLACEMENT_NOT_PLANNED",
        f"resource {need.name} would be replaced, and its data lost, which the plan did not say",
        remedy="Deploy again, and approve its new plan.",
    )
    return Go("fail", facts=replace(facts, reason=reason), reason=reason)


def _failed(facts: DeploymentFacts, need: Need, there: ResourceFacts) -> Go:
    why = there.reason
    reason = Reason(
        why.code if why else "RESOURCE_UNWELL",
        f"resource {need.name} could not be provided" + (f": {why.summary}" if why else ""),
        evidence=why.evidence if why else "",
        remedy=why.remedy if why else "Deploy again once it does well.",
        fault=why.fault if why else Fault.FAILED,
        key=f"resources.{need.key}",
        subject=Subject(SubjectKind.RESOURCE, need.name),
    )
    return Go("fail", facts=replace(facts, reason=reason), reason=reason)


# -- services


def give_back(world_id: int, service_id: UUID, resources: Iterable[UUID]) -> tuple[Post, ...]:
    """Tell resources that this service has them no more."""
    payload = {"service_id": str(service_id)}
    return tuple(Post(world_id, one, "leave", ENGINE, payload) for one in resources)


async def awake(context: Context, machine: Machine, resources: Sequence[UUID]) -> tuple[Post, ...]:
    """What has to be asked of a service's resources before it can run; nothing where they all do well."""
    found = await machines.list_many(context.db, machine.world_id, resources)
    payload = {"service_id": str(machine.id)}
    return tuple(
        Post(machine.world_id, one.id, "use", ENGINE, payload)
        for one in found
        if one.state != ResourceState.FAILED  # which nobody but a person or a deployment tries again
        and (facts_of(one).suspended or facts_of(one).health is not Health.HEALTHY)
    )
