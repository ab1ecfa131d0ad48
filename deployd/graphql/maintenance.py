"""Maintenance: the duties that keep an installation from growing for ever, and doing them now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry

from deployd.errors import InputError
from deployd.graphql.context import Info
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.problem import Problem, attempt
from deployd.graphql.scalars import DutyOutcome
from deployd.model import duty as words

__all__ = ["Counted", "Duty", "Maintained", "MaintenanceMutation", "MaintenanceQuery"]


@strawberry.type(description="So many things of a kind.")
class Counted:
    """The model's Counted."""

    what: str = strawberry.field(description="What they are, in the plural: `deployments`.")
    number: int = strawberry.field(description="How many.")


@strawberry.type(description="Something that deployd does now and then so that nothing grows for ever.")
class Duty:
    """The model's Duty."""

    name: str = strawberry.field(description="Names it, in a word.")
    description: str = strawberry.field(description="What it does, in the imperative.")
    host: str | None = strawberry.field(
        description="The host whose own things it is about; null: the database, or none has planned it yet."
    )
    every_seconds: int = strawberry.field(description="How often it is done.")
    last_run_at: datetime | None = strawberry.field(description="When it last ended; null: never yet.")
    next_run_at: datetime | None = strawberry.field(
        description="When it is due again; null: no server has planned it yet."
    )
    last_seconds: float | None = strawberry.field(description="What the last run took.")
    last_outcome: DutyOutcome | None = strawberry.field(description="What the last run came to.")
    last_summary: str = strawberry.field(
        description="What the last run did, or why it failed; empty before the first."
    )
    last_counted: list[Counted] = strawberry.field(description="The same in numbers.")
    running: bool = strawberry.field(description="Whether somebody is at it.")

    @classmethod
    def of(cls, one: words.Duty) -> Self:
        """As it is on record."""
        return cls(
            name=one.name,
            description=one.description,
            host=one.place,
            every_seconds=one.every_seconds,
            last_run_at=one.last_at,
            next_run_at=one.next_at,
            last_seconds=one.seconds,
            last_outcome=one.outcome,
            last_summary=one.summary,
            last_counted=[Counted(what=each.what, number=each.number) for each in one.counted],
            running=one.busy,
        )


@strawberry.type(description="What one run of a duty did.")
class DutyRun:
    """The same, just now."""

    name: str = strawberry.field(description="The duty's name.")
    outcome: DutyOutcome = strawberry.field(description="What it came to.")
    summary: str = strawberry.field(description="What it did (or would do), or why it failed.")
    counted: list[Counted] = strawberry.field(
        description="The same in numbers. A dry run counts up to some thousands of each."
    )
    seconds: float = strawberry.field(description="What it took.")


@strawberry.type(description="What maintenance did.")
class Maintained:
    """The runs of the duties that were asked for."""

    dry_run: bool = strawberry.field(description="Whether nothing was removed, and it says what would be.")
    runs: list[DutyRun] = strawberry.field(description="Each duty, in the order in which they are done.")


MaintainResult: TypeAlias = Annotated[
    Maintained | Problem,
    strawberry.union("MaintainResult", description="What was done, or why it was refused."),
]


@strawberry.type
class MaintenanceQuery:
    """Asking once."""

    @resolved(description="The duties: when each ran, what it came to, when it runs next. For operators.")
    async def maintenance(self, info: Info) -> list[Duty]:
        context = info.context
        return [Duty.of(one) for one in await context.api.maintaining.duties(context.actor)]


@strawberry.type
class MaintenanceMutation:
    """Not waiting for the schedule."""

    @mutation(
        description="Do duties now, of the database and of the host that answers; for some seconds at most,"
        " and the rest follows by the schedule. For admins."
    )
    async def maintain(
        self,
        info: Info,
        duties: Annotated[
            list[str] | None, strawberry.argument(description="Their names; null or none: all of them.")
        ] = None,
        dry_run: Annotated[
            bool, strawberry.argument(description="Remove nothing, and say what would be.")
        ] = False,
    ) -> MaintainResult:
        context = info.context

        async def ask() -> Maintained:
            done = await context.api.maintaining.maintain(context.actor, duties or (), dry_run=dry_run)
            return Maintained(dry_run=dry_run, runs=[_run(one) for one in done])

        async def where(_: InputError) -> list[str]:
            return ["duties"]

        return await attempt(ask(), where)


def _run(one: words.Duty) -> DutyRun:
    return DutyRun(
        name=one.name,
        outcome=one.outcome or DutyOutcome.DONE,
        summary=one.summary,
        counted=[Counted(what=each.what, number=each.number) for each in one.counted],
        seconds=one.seconds or 0.0,
    )
