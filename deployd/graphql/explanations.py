"""Why something is as it is: the chain of reasons, made by the engine, so that all say the same."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

import strawberry

from deployd.engine import explaining
from deployd.graphql.context import Context, Info
from deployd.graphql.fields import resolved
from deployd.graphql.problem import or_none, parse_id
from deployd.graphql.scalars import Verdict
from deployd.graphql.transitions import Reason, Subject
from deployd.model.machine import Machine

__all__ = ["Explanation", "ExplanationQuery", "ExplanationStep"]


@strawberry.type(description="One object on the way from what was asked for to the root cause.")
class ExplanationStep:
    """The engine's Step."""

    subject: Subject = strawberry.field(description="The object.")
    summary: str = strawberry.field(description="What it is, and how it stands.")
    since: datetime = strawberry.field(description="Since when it stands so.")
    reason: Reason | None = strawberry.field(description="Why, where it says so itself.")

    @classmethod
    def of(cls, one: explaining.Step) -> Self:
        """As the engine found it."""
        return cls(
            subject=Subject.of(one.subject),
            summary=one.summary,
            since=one.since,
            reason=Reason.of(one.reason),
        )


@strawberry.type(description="Why something is as it is, what serves meanwhile, and what comes next.")
class Explanation:
    """The engine's Explanation."""

    subject: Subject = strawberry.field(description="What was asked about.")
    verdict: Verdict = strawberry.field(description="How it is, in a word.")
    summary: str = strawberry.field(description="How it stands, in one line.")
    since: datetime = strawberry.field(description="Since when it stands so.")
    steps: list[ExplanationStep] = strawberry.field(
        description="From what was asked for to the root cause; none where it is well."
    )
    cause: Reason | None = strawberry.field(
        description="The root cause: what the last step says that is more than news."
    )
    meanwhile: str | None = strawberry.field(description="What serves meanwhile, in one line.")
    meanwhile_since: datetime | None = strawberry.field(description="When the release that serves was made.")
    next: str | None = strawberry.field(description="What deployd does next by itself, in one line.")
    next_at: datetime | None = strawberry.field(
        description="When that is; null: at once, or once something else happens."
    )
    deadline_at: datetime | None = strawberry.field(description="When it gives up.")
    directory: str | None = strawberry.field(
        description="The folder on the server's host that `where` of the reasons is in, if it is in one."
    )

    @classmethod
    async def found(cls, context: Context, machine: Machine) -> Self:
        """Of a machine."""
        one = await explaining.explain(context.api.db, machine)
        return cls(
            subject=Subject.of(one.subject),
            verdict=Verdict(one.verdict),
            summary=one.summary,
            since=one.since,
            steps=[ExplanationStep.of(step) for step in one.steps],
            cause=Reason.of(one.cause),
            meanwhile=one.meanwhile or None,
            meanwhile_since=one.meanwhile_since,
            next=one.next or None,
            next_at=one.next_at,
            deadline_at=one.deadline_at,
            directory=one.directory,
        )


@strawberry.type
class ExplanationQuery:
    """Asking once."""

    @resolved(description="Why the service, deployment, change or resource with this id is as it is.")
    async def why(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")],  # noqa: A002
    ) -> Explanation | None:
        machine = await or_none(info.context.operations.machine(info.context.actor, parse_id(id)))
        return None if machine is None else await Explanation.found(info.context, machine)
