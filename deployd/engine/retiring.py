"""How a world ends: a change that retires its services and, where it is ephemeral, deletes its resources."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from deployd.engine import resources as provided
from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.model.facts import ChangeFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.plan import PlanAction, PlanItem, PlanKind
from deployd.model.reason import Fault, Reason, Subject, SubjectKind
from deployd.model.state import MachineKind, ResourceState, ServiceState
from deployd.store import machines, worlds
from deployd.store.commit import Post

__all__ = ["follow_retirement", "plan_retirement"]

_AGAIN = timedelta(seconds=0.5)


def facts_of(machine: Machine) -> ChangeFacts:
    """The facts, as a change's."""
    assert isinstance(machine.facts, ChangeFacts)
    return machine.facts


async def plan_retirement(context: Context, machine: Machine) -> Outcome:
    """Planning: data goes only with a world that said so at its birth."""
    facts, world = facts_of(machine), await context.world(machine.world_id)
    services = await machines.list_kind(context.db, machine.world_id, MachineKind.SERVICE)
    resources = await machines.list_kind(context.db, machine.world_id, MachineKind.RESOURCE)
    if resources and not world.ephemeral:
        names = ", ".join(str(one.name) for one in resources)
        reason = Reason(
            "WORLD_HAS_DATA",
            f"world {world.name} is not ephemeral and has resources: {names}",
            remedy="Delete each of them by its name first: deployd resource delete NAME",
        )
        return Go("fail", facts=replace(facts, reason=reason), reason=reason)
    lines = [f"retire service {one.name}" for one in services]
    lines += [f"delete resource {one.name} with its data" for one in resources]
    items = (
        *(_ending(PlanKind.SERVICE, one, "its releases, logs and history are kept") for one in services),
        *(_ending(PlanKind.RESOURCE, one, "its data goes with its ephemeral world") for one in resources),
    )
    plan = (*lines, f"retire world {world.name}")
    return Go("apply", facts=replace(facts, plan=plan, items=items, reason=None))


def _ending(kind: PlanKind, one: Machine, why: str) -> PlanItem:
    return PlanItem(kind, str(one.name), PlanAction.DELETE, why=why)


async def follow_retirement(context: Context, machine: Machine) -> Outcome:
    """Applying: nothing new from now on; then the services end, then what they had."""
    facts = facts_of(machine)
    await worlds.retire(context.db, machine.world_id)
    posts: list[Post] = []
    services = await machines.list_kind(context.db, machine.world_id, MachineKind.SERVICE)
    for one in services:
        assert isinstance(one.facts, ServiceFacts)
        if one.state != ServiceState.RETIRING and one.facts.wish != "retire":
            posts.append(Post(machine.world_id, one.id, "retire", facts.requested_by))
    if services:
        return Stay(after=_AGAIN, posts=posts)
    resources = await machines.list_kind(context.db, machine.world_id, MachineKind.RESOURCE)
    for one in resources:
        if one.state == ResourceState.FAILED and one.id in facts.deleted:
            why = provided.facts_of(one).reason
            reason = Reason(
                why.code if why else "RESOURCE_UNWELL",
                f"resource {one.name} could not be deleted" + (f": {why.summary}" if why else ""),
                evidence=why.evidence if why else "",
                remedy="Retire the world again once that is put right.",
                fault=why.fault if why else Fault.FAILED,
                subject=Subject(SubjectKind.RESOURCE, str(one.name)),
            )
            return Go("fail", facts=replace(facts, reason=reason), reason=reason)
        if one.state != ResourceState.DELETING and one.id not in facts.deleted:
            posts.append(Post(machine.world_id, one.id, "delete", facts.requested_by))
    if resources:
        asked = tuple(dict.fromkeys((*facts.deleted, *(one.id for one in resources))))
        return Stay(after=_AGAIN, facts=replace(facts, deleted=asked), posts=posts)
    return Go("finish", facts=facts)
