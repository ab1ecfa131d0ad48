"""The group commit: outcomes of many machines in, one statement, the ones that counted out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from deployd.model.facts import Facts
from deployd.model.machine import Machine
from deployd.model.reason import Reason
from deployd.model.state import MachineKind
from deployd.store.codec import encode
from deployd.store.database import LOST, lost
from deployd.store.queries import QUERIES

__all__ = ["Applied", "Batch", "Birth", "Born", "Post", "Step", "write"]

_BIRTHS = 1_000_000
"""From here on the statement counts what was born."""


@dataclass(frozen=True, slots=True)
class Birth:
    """A machine that shall exist, in its table's first state and due at once; one that exists is left."""

    world_id: int
    id: UUID
    kind: MachineKind
    state: str
    facts: Facts
    actor: str
    name: str | None = None
    service_id: UUID | None = None
    change_id: UUID | None = None
    placement: str | None = None
    deadline: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A request for a machine's mailbox."""

    world_id: int
    machine_id: UUID
    trigger: str
    actor: str
    payload: Mapping[str, object] = field(default_factory=dict)


class Step(msgspec.Struct, frozen=True, gc=False):
    """An outcome of a machine that `owner` holds. `trigger` None: nothing moved, no transition is written."""

    machine: Machine
    owner: UUID
    trigger: str | None
    to_state: str
    keep: bool
    """Whether the owner goes on with it; else it is due `due` from now, and at its deadline."""
    actor: str
    facts: Facts | None = None
    attempt: int = 0
    due: timedelta | None = None
    deadline: timedelta | None = None
    """Of the new state; looked at only where `trigger` is given."""
    settled: bool = False
    frees_name: bool = False
    reason: Reason | None = None
    births: Sequence[Birth] = ()
    posts: Sequence[Post] = ()
    consumed: Sequence[int] = ()
    """Ids of the mail that this outcome answers."""
    limited_by: str | None = None
    """The capability whose turn the state needs that it comes to; None: it needs none …"""
    turn: bool = False
    """… and whether the owner has it, and goes on with it; else the machine waits for one, from `due` on."""


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What a step came to."""

    remaining: float | None
    """Seconds until its deadline."""
    woken: Sequence[UUID] | None
    """Who waited for it, and was poked."""
    seq: int | None = None
    """The number of its transition, where it moved …"""
    at: datetime | None = None
    """… and when that was."""


@dataclass(frozen=True, slots=True)
class Born:
    """A machine that came to be by a commit, and the number of its first transition."""

    id: UUID
    seq: int
    at: datetime


@dataclass(slots=True)
class Batch:
    """What one commit writes: steps, and the births and posts of callers that hold no machine."""

    steps: list[Step] = field(default_factory=list)
    births: list[Birth] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    born: list[Born] = field(default_factory=list)
    """Filled in by `write`: of the births, those that were none before."""


def _ms(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds() * 1000)


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as columns, one array each."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _shape_of(step: Step) -> tuple[object, ...]:
    """What a step shares with many others of its batch."""
    return (
        step.owner,
        step.trigger,
        step.machine.state,
        step.to_state,
        step.attempt,
        step.keep,
        _ms(step.deadline),
        step.settled,
        step.frees_name,
        step.actor,
        step.limited_by,
        step.turn,
    )


def _arguments(batch: Batch) -> list[list[object]]:
    """The 42 arrays of the statement."""
    shapes: dict[tuple[object, ...], int] = {}
    steps: list[tuple[object, ...]] = []
    births: list[tuple[int | None, Birth]] = [(None, birth) for birth in batch.births]
    posts: list[tuple[int | None, Post]] = [(None, post) for post in batch.posts]
    consumed: list[tuple[object, ...]] = []
    for ord_, step in enumerate(batch.steps):
        machine = step.machine
        steps.append(
            (
                shapes.setdefault(_shape_of(step), len(shapes) + 1),
                machine.world_id,
                machine.id,
                machine.fence,
                machine.version,
                None if step.facts is None else encode(step.facts),
                _ms(step.due),
                None if step.reason is None else encode(step.reason),
            )
        )
        if step.births:
            births += [(ord_, birth) for birth in step.births]
        if step.posts:
            posts += [(ord_, post) for post in step.posts]
        if step.consumed:
            consumed += [(ord_, machine.world_id, machine.id, mail) for mail in step.consumed]
    born = _columns(
        [
            (
                parent,
                birth.world_id,
                birth.id,
                birth.kind,
                birth.state,
                birth.name,
                birth.service_id,
                birth.change_id,
                birth.placement,
                encode(birth.facts),
                _ms(birth.deadline),
                birth.actor,
            )
            for parent, birth in births
        ],
        12,
    )
    posted = _columns(
        [(p, x.world_id, x.machine_id, x.trigger, encode(x.payload), x.actor) for p, x in posts], 6
    )
    shaped = _columns(list(shapes), 12)
    return [
        *shaped[:10],
        *_columns(steps, 8),
        *born[:11],
        *posted,
        *_columns(consumed, 4),
        born[11],
        *shaped[10:],
    ]


def _alone(batch: Batch) -> Step | None:
    """The one step of a batch that has nothing else, nor hangs anything on it."""
    if len(batch.steps) != 1 or batch.births or batch.posts:
        return None
    step = batch.steps[0]
    return None if step.births or step.posts or step.consumed else step


def _plain(step: Step) -> tuple[object, ...]:
    """The arguments of the statement for one."""
    machine = step.machine
    return (
        machine.world_id,
        machine.id,
        machine.version,
        machine.fence,
        step.trigger,
        step.to_state,
        step.owner,
        None if step.facts is None else encode(step.facts),
        step.attempt,
        step.frees_name,
        step.keep,
        _ms(step.deadline),
        step.limited_by,
        _ms(step.due),
        step.turn,
        step.settled,
        machine.state,
        step.actor,
        None if step.reason is None else encode(step.reason),
    )


async def write(
    connection: asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record],
    batch: Batch,
) -> list[Applied | None]:
    """Commit the batch; for each step what it came to, or None where the machine had moved on.

    All or nothing for the machinery (an error leaves nothing behind), one by one for the steps. Raises
    PostgresUnavailable when the connection is lost: then it is unknown whether the batch was committed,
    and writing it again is safe for its steps, since their version no longer matches.
    """
    try:
        if (alone := _alone(batch)) is not None:
            rows = await connection.fetch(QUERIES["commit_one"], *_plain(alone))
            return [Applied(*rows[0]) if rows else None]
        rows = await connection.fetch(QUERIES["commit"], *_arguments(batch))
    except LOST as error:
        raise lost(error) from error
    numbers: dict[int, tuple[int, datetime]] = {}
    batch.born = []
    for ord_, _, _, seq, at, machine_id in rows:
        if seq is not None:
            numbers[ord_] = seq, at
            if ord_ >= _BIRTHS:
                batch.born.append(Born(machine_id, seq, at))
    applied: list[Applied | None] = [None] * len(batch.steps)
    nothing = (None, None)
    for ord_, woken, remaining, number, _, _ in rows:
        if number is None:
            applied[ord_] = Applied(remaining, woken, *numbers.get(ord_, nothing))
    return applied
