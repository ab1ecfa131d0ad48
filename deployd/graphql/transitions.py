"""Transitions: what moved, in order, from any cursor on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

import strawberry

from deployd.graphql.cursor import Cursor
from deployd.graphql.lasting import Lasting
from deployd.graphql.scalars import CursorText, Fault, Long, MachineKind, SubjectKind
from deployd.model import machine as model
from deployd.model import reason

__all__ = ["After", "Reason", "Subject", "Transition", "TransitionBatch", "WorldName"]

After = Annotated[
    CursorText | None, strawberry.argument(description="Read on behind this cursor of the same world.")
]
WorldName = Annotated[str, strawberry.argument(description="The world's name.")]


@strawberry.type(description="The object that something is said about.")
class Subject:
    """The model's Subject."""

    kind: SubjectKind = strawberry.field(description="What it is.")
    name: str = strawberry.field(description="Its name, or the id of what has none.")

    @classmethod
    def of(cls, one: reason.Subject) -> Self:
        """As it is."""
        return cls(kind=one.kind, name=one.name)


@strawberry.type(description="Why something is as it is.")
class Reason:
    """The model's Reason."""

    code: str = strawberry.field(description="Stable, in capitals; programs compare it.")
    summary: str = strawberry.field(description="What failed, on which object, in one sentence.")
    evidence: str = strawberry.field(
        description="What was seen: an exit status, the last log lines; may be empty."
    )
    remedy: str = strawberry.field(description="What to do about it, in the imperative; may be empty.")
    fault: Fault = strawberry.field(description="Who said no.")
    subject: Subject | None = strawberry.field(
        description="The object that it is about; null in what an older version recorded."
    )
    where: str | None = strawberry.field(
        description="Where the source asks for it: `deployd.yaml:7:5`, `cart/Dockerfile:3`; or null."
    )
    key: str | None = strawberry.field(
        description="The manifest's key that it is about, below its service: `env.KEY`; or null."
    )

    @classmethod
    def of(cls, one: reason.Reason | None) -> Self | None:
        """None stays None."""
        if one is None:
            return None
        return cls(
            code=one.code,
            summary=one.summary,
            evidence=one.evidence,
            remedy=one.remedy,
            fault=one.fault,
            subject=None if one.subject is None else Subject.of(one.subject),
            where=one.where,
            key=one.key,
        )


@strawberry.type(description="One durable step of a machine.")
class Transition(Lasting):
    """The model's Transition."""

    seq: Long = strawberry.field(description="Counts within the world, from 1, without gaps.")
    at: datetime = strawberry.field(description="When it was; never decreases within a world.")
    machine_id: strawberry.ID = strawberry.field(description="What moved.")
    kind: MachineKind = strawberry.field(description="What kind of machine that is.")
    service_id: strawberry.ID | None = strawberry.field(description="The service that it belongs to.")
    trigger: str = strawberry.field(description="What made it move, as the table of its kind names it.")
    from_state: str | None = strawberry.field(description="Where it stood; null for its birth.")
    to_state: str = strawberry.field(description="Where it stands since.")
    actor: str = strawberry.field(description="Who wanted it; `deployd` for what goes on by itself.")
    reason: Reason | None = strawberry.field(description="Why, where there is more to say.")

    @classmethod
    def of(cls, one: model.Transition) -> Self:
        """The transition as it was recorded."""
        return cls(
            seq=Long(one.seq),
            at=one.at,
            machine_id=strawberry.ID(str(one.machine_id)),
            kind=one.kind,
            service_id=None if one.service_id is None else strawberry.ID(str(one.service_id)),
            trigger=one.trigger,
            from_state=one.from_state,
            to_state=one.to_state,
            actor=one.actor,
            reason=Reason.of(one.reason),
        )


@strawberry.type(description="Transitions that follow one another without a gap.")
class TransitionBatch:
    """A page of transitions."""

    transitions: list[Transition] = strawberry.field(description="In the order of `seq`; may be empty.")
    cursor: CursorText = strawberry.field(description="Behind the last of them: send it to read on.")

    @classmethod
    def of(cls, found: Sequence[model.Transition], cursor: Cursor) -> Self:
        """`cursor` stands behind the last."""
        return cls(transitions=[Transition.of(one) for one in found], cursor=CursorText(cursor.encode()))
