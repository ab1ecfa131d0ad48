"""Resources: pieces of infrastructure, how they do, and who has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry

from deployd.catalog import BUILTIN
from deployd.engine.infrastructure import is_name
from deployd.errors import Conflict, InputError, NotFound, Unsupported
from deployd.graphql.answers import MachineAnswer
from deployd.graphql.context import Info
from deployd.graphql.explanations import Explanation
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.lasting import Lasting
from deployd.graphql.problem import Problem, attempt, or_none
from deployd.graphql.scalars import Health, Ownership, ResourceState
from deployd.graphql.transitions import Reason, WorldName
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.machine import Machine

__all__ = ["Resource", "ResourceMutation", "ResourceQuery", "ResourceResult"]

ResourceName = Annotated[
    str, strawberry.argument(description="Its name in that world: `cart/db`, or the shared one.")
]


Params = Annotated[
    list["ParamInput"], strawberry.argument(description="What the definition behind the slug lets one set.")
]


@strawberry.input(description="A parameter of a resource.")
class ParamInput:
    """As text: the definition says what it is."""

    name: str = strawberry.field(description="As the definition names it.")
    value: str = strawberry.field(description="Its value as text: `100`, `true`, `large`.")


@strawberry.type(description="A parameter of a resource.")
class Param:
    """One of its settings that may be chosen."""

    name: str = strawberry.field(description="As the definition names it.")
    value: str = strawberry.field(description="Its value as text: `100`, `true`, `large`.")


@strawberry.type(description="A piece of infrastructure in a world. Its outputs' values never come out.")
class Resource(Lasting, MachineAnswer):
    """A machine of that kind."""

    machine: strawberry.Private[Machine]
    id: strawberry.ID = strawberry.field(description="Names it; another resource of this name has another.")
    name: str = strawberry.field(description="`SERVICE/NAME`, or the name under which services share it.")
    world: str = strawberry.field(description="The name of its world.")
    slug: str = strawberry.field(description="By which it was asked for.")
    type: str = strawberry.field(description="What it is to those who use it.")
    state: ResourceState = strawberry.field(description="Where it stands.")
    health: Health = strawberry.field(description="How it does.")
    ownership: Ownership = strawberry.field(description="Who looks after it.")
    standing: bool = strawberry.field(
        description="Whether it stands by itself: made or adopted by hand, whoever has it."
    )
    params: list[Param] = strawberry.field(description="What was chosen of what its definition lets one set.")
    outputs: list[str] = strawberry.field(description="The names of what references may name.")
    bound_to_host: bool = strawberry.field(description="Whether what runs for it runs on deployd's own host.")
    reason: Reason | None = strawberry.field(description="Why it is as it is.")
    created_at: datetime = strawberry.field(description="When it first came to be.")
    updated_at: datetime = strawberry.field(description="When it was last written.")

    @classmethod
    def of(cls, machine: Machine, world: str) -> Self:
        """The resource as it is committed; `world` is the name of its world."""
        facts = _facts(machine)
        return cls(
            machine=machine,
            id=strawberry.ID(str(machine.id)),
            name=facts.name,
            world=world,
            slug=facts.slug,
            type=facts.type,
            state=ResourceState(machine.state),
            health=facts.health,
            ownership=facts.ownership,
            standing=facts.standing,
            params=_params(facts),
            outputs=list(facts.outputs),
            bound_to_host=machine.placement is not None,
            reason=Reason.of(facts.reason),
            created_at=machine.created_at,
            updated_at=machine.updated_at,
        )

    @classmethod
    def project(cls, machine: Machine, world: str) -> Self:
        """The machine as this type."""
        return cls.of(machine, world)

    @resolved(description="Why it is as it is, from what was asked for to the root cause.")
    async def why(self, info: Info) -> Explanation:
        return await Explanation.found(info.context, self.machine)

    @resolved(description="The names of the services that have it.", settled=True)
    async def services(self, info: Info) -> list[str]:
        keys = [(self.machine.world_id, one) for one in _facts(self.machine).users]
        found = await asyncio.gather(*(info.context.loaders.machines.load(key) for key in keys))
        return sorted(one.facts.name for one in found if one and isinstance(one.facts, ServiceFacts))


def _facts(machine: Machine) -> ResourceFacts:
    assert isinstance(machine.facts, ResourceFacts)
    return machine.facts


_DEFINITIONS = {one.slug: one for one in reversed(BUILTIN)}


def _params(facts: ResourceFacts) -> list[Param]:
    definition = _DEFINITIONS.get(facts.slug)
    return [
        Param(name=name, value=str(value).lower() if one.type == "boolean" else str(value))
        for name, one in (definition.params.items() if definition else ())
        if (value := facts.settings.get(name)) is not None
    ]


ResourceResult: TypeAlias = Annotated[
    Resource | Problem,
    strawberry.union(
        "ResourceResult", description="The resource as it was just before, or why it was refused."
    ),
]


@strawberry.type
class ResourceQuery:
    """Asking once."""

    @resolved(description="The living resource of this name.")
    async def resource(self, info: Info, world: WorldName, name: ResourceName) -> Resource | None:
        context = info.context
        found = await or_none(context.api.infrastructure.resource(context.actor, world, name))
        return None if found is None else Resource.of(found, world)


@strawberry.type
class ResourceMutation:
    """Asking something of a resource. The answer comes once the request is durable; follow what it does."""

    @mutation(
        description="Make a resource that stands by itself: manifests find it by `shared:` under its name."
    )
    async def create_resource(
        self,
        info: Info,
        world: WorldName,
        name: ResourceName,
        slug: Annotated[str, strawberry.argument(description="What it shall be: `postgres`.")],
        params: Params = [],  # noqa: B006 - read only
    ) -> ResourceResult:
        api, actor = info.context.api, info.context.actor
        given = [(one.name, one.value) for one in params]
        asked = api.infrastructure.create(actor, world, name, slug, given)
        return await _answer(info, world, asked, "params" if is_name(name) else "name")

    @mutation(
        description="Change parameters of a resource that stands by itself, in place. What would cost its"
        " data is refused."
    )
    async def update_resource(
        self, info: Info, world: WorldName, name: ResourceName, params: Params
    ) -> ResourceResult:
        api, actor = info.context.api, info.context.actor
        given = [(one.name, one.value) for one in params]
        return await _answer(info, world, api.infrastructure.update(actor, world, name, given), "params")

    @mutation(description="Look after an orphan again: it stands by itself from now on.")
    async def adopt_resource(self, info: Info, world: WorldName, name: ResourceName) -> ResourceResult:
        api, actor = info.context.api, info.context.actor
        return await _answer(info, world, api.infrastructure.adopt(actor, world, name), "name")

    @mutation(description="Delete a resource with its data: only one that no service has any more.")
    async def delete_resource(self, info: Info, world: WorldName, name: ResourceName) -> ResourceResult:
        context = info.context

        async def ask() -> Resource:
            return Resource.of(await context.api.infrastructure.delete(context.actor, world, name), world)

        async def where(_: InputError) -> list[str]:
            there = await or_none(context.operations.world(context.actor, world))
            return ["world"] if there is None else ["name"]

        return await attempt(ask(), where)


async def _answer(info: Info, world: str, asked: Awaitable[Machine], wrong: str) -> Resource | Problem:
    """The resource, or why not; `wrong`: which argument it is if nothing better is known."""

    async def ask() -> Resource:
        return Resource.of(await asked, world)

    async def where(error: InputError) -> list[str]:
        if await or_none(info.context.operations.world(info.context.actor, world)) is None:
            return ["world"]
        if isinstance(error, Unsupported):
            return ["slug"]
        return ["name"] if isinstance(error, (NotFound, Conflict)) else [wrong]

    return await attempt(ask(), where)
