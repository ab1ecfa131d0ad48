"""What deployd will do next by itself about a machine, and when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from deployd.machines import RUNNERS
from deployd.model.facts import DeploymentFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.state import DeploymentState, MachineKind, ResourceState
from deployd.model.world import World
from deployd.store.moments import Moment

__all__ = ["Next", "next_of", "waits_for_turn"]


@dataclass(frozen=True, slots=True)
class Next:
    """What, when (None: at once, or when something else happens), and when it gives up."""

    what: str
    at: datetime | None = None
    deadline_at: datetime | None = None


def next_of(chain: Sequence[tuple[Machine, Moment]], now: datetime, world: World | None = None) -> Next:
    """Of the deepest that still moves; else that nothing comes by itself. `world`: theirs."""
    for machine, moment in reversed(chain):
        if _moves(machine):
            if moment.turn_of is not None and world is not None:
                return Next(waits_for_turn(moment.turn_of, world))
            return Next(_what(machine), None if moment.held else moment.due_at, _gives_up(machine, now))
    name = next((one.facts.service for one, _ in chain if isinstance(one.facts, DeploymentFacts)), None)
    if name is not None:
        return Next(
            f"nothing by itself: mend it and deploy again, or try the same again: deployd retry {name}"
        )
    return Next("nothing by itself: mend it and deploy again")


def _gives_up(machine: Machine, now: datetime) -> datetime | None:
    """When it does: a release has to be healthy before the deadline of its state."""
    facts = machine.facts
    if not isinstance(facts, DeploymentFacts) or facts.healthy_by is None:
        return machine.deadline_at
    before = machine.state == DeploymentState.VERIFYING and facts.healthy_by > now
    return facts.healthy_by if before else machine.deadline_at


def waits_for_turn(capability: str, world: World) -> str:
    """What a machine waits for that is due, and whose capability has as much to do as it may."""
    there = world.capabilities.get(capability)
    limit = None if there is None else there.limit
    at_once = "" if limit is None else f": {capability} of world {world.name} does {limit} at a time"
    return f"waits for a turn{at_once}"


def _moves(machine: Machine) -> bool:
    """Whether deployd still works at it or watches over it."""
    if machine.kind is MachineKind.RESOURCE and machine.state == ResourceState.FAILED:
        return False
    return not RUNNERS[machine.kind].states[machine.state].final


def _what(machine: Machine) -> str:
    facts, state = machine.facts, machine.state.replace("_", " ")
    if machine.attempt:
        return f"{state}: try {machine.attempt + 1}"
    if machine.state == DeploymentState.AWAITING_APPROVAL:
        return f"waits for somebody's approval: deployd approve {machine.id}"
    if machine.state == DeploymentState.QUEUED:
        return "begins when the deployment before it has ended"
    if machine.state in (DeploymentState.ROLLING_BACK, DeploymentState.CANCELLING):
        return "puts back what was before"
    if isinstance(facts, ServiceFacts):
        code = facts.reason.code if facts.reason is not None else ""
        if code in ("CRASH_LOOP", "EXITED"):
            return "starts the program again, after longer and longer pauses"
        return "looks at it again, and puts right what it can"
    return f"{state}: looks again"
