"""What a commit came to, counted and logged; and handed on to whoever makes traces of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from deployd.model.facts import Facts
from deployd.model.machine import Machine
from deployd.model.reason import Reason
from deployd.store.commit import Applied, Batch, Birth, Step
from deployd.telemetry.lines import about
from deployd.telemetry.metrics import COMMIT_SIZE, COMMITS, OUTCOMES, TRANSITIONS
from deployd.telemetry.subject import WORLDS, Subject, change_of, name_of, trace_of

__all__ = ["Move", "Moved", "record"]

_log = logging.getLogger("deployd.transitions")


@dataclass(frozen=True, slots=True)
class Move:
    """One committed transition of a machine that was there before."""

    machine: Machine
    """As it was before."""
    facts: Facts
    """As they are now."""
    to_state: str
    seq: int
    at: datetime
    reason: Reason | None


Moved = Callable[[Sequence[Move]], None]


def record(batch: Batch, applied: Sequence[Applied | None], seconds: float, moved: Moved | None) -> None:
    """After a commit that took so long. Cheap for each outcome, whatever is not listened to."""
    COMMITS.observe(seconds)
    COMMIT_SIZE.observe(len(batch.steps) + len(batch.births))
    talks = _log.isEnabledFor(logging.INFO)
    moves: list[Move] = []
    stayed = stale = 0
    for step, answer in zip(batch.steps, applied, strict=True):
        if answer is None:
            stale += 1
        elif step.trigger is None:
            stayed += 1
        else:
            TRANSITIONS.add(step.machine.kind, step.trigger, step.to_state)
            if talks:
                _tell(step, answer)
            if moved is not None and answer.seq is not None and answer.at is not None:
                facts = step.machine.facts if step.facts is None else step.facts
                moves.append(Move(step.machine, facts, step.to_state, answer.seq, answer.at, step.reason))
    for result, number in (("stale", stale), ("stayed", stayed)):
        if number:
            OUTCOMES.add(result, amount=number)
    if went := len(applied) - stale - stayed:
        OUTCOMES.add("moved", amount=went)
    if batch.born:
        _welcome(batch, talks=talks)
    if moved is not None and moves:
        moved(moves)


def _tell(step: Step, answer: Applied) -> None:
    machine = step.machine
    _log.info(
        "%s %s: %s → %s (seq %s)%s",
        machine.kind,
        name_of(machine) or machine.id,
        machine.state,
        step.to_state,
        answer.seq,
        f": {step.reason.summary}" if step.reason else "",
        extra=about(
            **_known(machine, machine.world_id),
            state=step.to_state,
            from_state=machine.state,
            trigger=step.trigger,
            seq=answer.seq,
            actor=step.actor,
            code=step.reason.code if step.reason else None,
        ),
    )


def _welcome(batch: Batch, *, talks: bool) -> None:
    every: list[Birth] = [*batch.births, *(one for step in batch.steps for one in step.births)]
    births = {one.id: one for one in every}
    for born in batch.born:
        birth = births[born.id]
        TRANSITIONS.add(birth.kind, "create", birth.state)
        if talks:
            _log.info(
                "%s %s: %s (seq %s)",
                birth.kind,
                name_of(birth) or birth.id,
                birth.state,
                born.seq,
                extra=about(
                    **_known(birth, birth.world_id),
                    state=birth.state,
                    trigger="create",
                    seq=born.seq,
                    actor=birth.actor,
                ),
            )


def _known(one: Subject, world_id: int) -> dict[str, object]:
    trace = trace_of(one)
    return {
        "world": WORLDS.get(world_id),
        "machine": one.id,
        "kind": one.kind,
        "name": name_of(one),
        "change": change_of(one),
        "trace": None if trace is None else trace.hex,
    }
