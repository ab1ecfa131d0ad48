"""Machines to be born, in the first state of their table."""

from __future__ import annotations

from uuid import UUID

from deployd.machines import TABLES
from deployd.model.facts import FACTS, Facts
from deployd.store.commit import Birth

__all__ = ["birth"]

_KIND = {type_: kind for kind, type_ in FACTS.items()}


def birth(
    world_id: int,
    machine_id: UUID,
    facts: Facts,
    actor: str,
    *,
    name: str | None = None,
    service_id: UUID | None = None,
    change_id: UUID | None = None,
    placement: str | None = None,
) -> Birth:
    """The kind follows from the facts; a service's own id stands as its `service_id` too."""
    kind = _KIND[type(facts)]
    first = TABLES[kind].states[0]
    return Birth(
        world_id=world_id,
        id=machine_id,
        kind=kind,
        state=str(first.name),
        facts=facts,
        actor=actor,
        name=name,
        service_id=service_id,
        change_id=change_id,
        placement=placement,
        deadline=first.deadline,
    )
