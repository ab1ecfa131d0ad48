"""A machine as it was read, what waits in its mailbox, and what was recorded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from deployd.model.facts import Facts
from deployd.model.reason import Reason
from deployd.model.state import MachineKind

__all__ = ["Machine", "Request", "Transition"]


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants of a machine: one row of its mailbox."""

    id: int
    trigger: str
    actor: str
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's row. Whoever holds it may commit an outcome that matches `version` and `fence`."""

    world_id: int
    id: UUID
    kind: MachineKind
    state: str
    name: str | None
    service_id: UUID | None
    change_id: UUID | None
    placement: str | None
    version: int
    fence: int
    attempt: int
    """Tries of the present act that ended in something retryable."""
    deadline_at: datetime | None
    created_at: datetime
    updated_at: datetime
    facts: Facts

    def moved(self, state: str, attempt: int, facts: Facts) -> Machine:
        """As it is once an outcome of its holder is committed; `dataclasses.replace` takes longer."""
        return Machine(
            self.world_id,
            self.id,
            self.kind,
            state,
            self.name,
            self.service_id,
            self.change_id,
            self.placement,
            self.version + 1,
            self.fence,
            attempt,
            self.deadline_at,
            self.created_at,
            self.updated_at,
            facts,
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """One durable step of a machine. `seq` counts within its world, from 1, without gaps."""

    world_id: int
    seq: int
    at: datetime
    machine_id: UUID
    kind: MachineKind
    service_id: UUID | None
    trigger: str
    from_state: str | None
    to_state: str
    actor: str
    reason: Reason | None
