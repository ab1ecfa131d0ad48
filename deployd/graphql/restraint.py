"""Holding services and releases, and how many copies run."""

from __future__ import annotations

from typing import Annotated

import strawberry

from deployd.graphql.context import Info
from deployd.graphql.fields import mutation
from deployd.graphql.problem import attempt, parse_id
from deployd.graphql.services import Service, ServiceName, ServiceResult, where
from deployd.graphql.transitions import WorldName

__all__ = ["RestraintMutation"]


@strawberry.type
class RestraintMutation:
    """Asking something of a service. The answer comes once the request is durable; follow what it does."""

    @mutation(
        description="Hold a service at what it serves, or one of its releases: nothing made of the same is"
        " deployed until the hold is lifted. What is under way against it is cancelled."
    )
    async def hold(
        self,
        info: Info,
        world: WorldName,
        service: ServiceName,
        release: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="One of the service's releases; null: the service itself."),
        ] = None,
        note: Annotated[str, strawberry.argument(description="Why, for people: one line.")] = "",
    ) -> ServiceResult:
        context = info.context

        async def ask() -> Service:
            target = None if release is None else parse_id(release)
            asked = await context.api.restraint.hold(context.actor, world, service, target, note)
            return Service.of(asked, world)

        otherwise = ["note"] if release is None else ["release"]
        return await attempt(ask(), lambda error: where(context, world, service, error, otherwise))

    @mutation(description="Lift the hold of one release, or all holds of a service.")
    async def lift_hold(
        self,
        info: Info,
        world: WorldName,
        service: ServiceName,
        release: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The release that is held; null: whatever is held of it."),
        ] = None,
    ) -> ServiceResult:
        context = info.context

        async def ask() -> Service:
            target = None if release is None else parse_id(release)
            asked = await context.api.restraint.lift(context.actor, world, service, target)
            return Service.of(asked, world)

        otherwise = ["service"] if release is None else ["release"]
        return await attempt(ask(), lambda error: where(context, world, service, error, otherwise))

    @mutation(
        description="Run so many copies of a service from now on. Its manifest says how many it may have, and"
        " its world how many it can run; a later deployment keeps the number where its manifest allows it."
    )
    async def scale(
        self,
        info: Info,
        world: WorldName,
        service: ServiceName,
        copies: Annotated[int, strawberry.argument(description="How many.")],
    ) -> ServiceResult:
        context = info.context

        async def ask() -> Service:
            asked = await context.api.scaling.scale(context.actor, world, service, copies)
            return Service.of(asked, world)

        return await attempt(ask(), lambda error: where(context, world, service, error, ["copies"]))
