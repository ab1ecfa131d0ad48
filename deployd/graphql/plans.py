"""Plans: what a change would do, item by item."""

from __future__ import annotations

from typing import Self

import strawberry

from deployd.graphql.scalars import PlanAction, PlanKind
from deployd.model import plan

__all__ = ["PlanField", "PlanItem"]


@strawberry.type(description="One thing in which an item will be otherwise. It never has a secret's value.")
class PlanField:
    """The model's PlanField."""

    path: str = strawberry.field(
        description="Such as `env.LOG_LEVEL` or `params.storage_gb`; `source`: its files, by commit or tree."
    )
    before: str | None = strawberry.field(description="As it is; null where it is not there.")
    after: str | None = strawberry.field(
        description="As it will be, references as they are written; null where it will not be there. Both"
        " null: a secret that was set again."
    )


@strawberry.type(description="A service, resource or route of a plan, and what becomes of it.")
class PlanItem:
    """The model's PlanItem."""

    kind: PlanKind = strawberry.field(description="What it is about.")
    name: str = strawberry.field(description="Its name; of a route its host and path.")
    action: PlanAction = strawberry.field(description="What is done with it.")
    fields: list[PlanField] = strawberry.field(description="In what it will be otherwise.")
    why: str = strawberry.field(description="Why, or how, in one sentence.")
    approval: bool = strawberry.field(description="Whether it waits for an approval.")
    notes: list[str] = strawberry.field(
        description="What its driver does otherwise than another would, without harm; how to go on with what"
        " is left behind."
    )

    @classmethod
    def of(cls, one: plan.PlanItem) -> Self:
        """The item as it was planned."""
        return cls(
            kind=one.kind,
            name=one.name,
            action=one.action,
            fields=[PlanField(path=each.path, before=each.before, after=each.after) for each in one.fields],
            why=one.why,
            approval=one.approval,
            notes=list(one.notes),
        )
