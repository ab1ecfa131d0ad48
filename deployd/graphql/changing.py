"""Making, changing and ending worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import strawberry

from deployd.errors import InputError, NotFound
from deployd.graphql.capabilities import CapabilityInput, GateInput
from deployd.graphql.changes import Change, DeployResult
from deployd.graphql.context import Info
from deployd.graphql.fields import mutation
from deployd.graphql.problem import Problem, attempt
from deployd.graphql.scalars import Long
from deployd.graphql.transitions import WorldName
from deployd.graphql.worlds import World
from deployd.model import world as words

__all__ = ["UpdateWorldInput", "WorldMutation", "WorldResult"]


@strawberry.input(
    description="What shall be otherwise with a world. What is left out stays as it is; a list that"
    " is said is all of"
    " it: a capability or a gate that is not in it goes."
)
class UpdateWorldInput:
    """The request of `updateWorld`."""

    name: str = strawberry.field(description="The world's name.")
    capabilities: list[CapabilityInput] | None = strawberry.field(
        default=None, description="All that it can do from now on; null: as before."
    )
    gates: list[GateInput] | None = strawberry.field(
        default=None, description="All its gates from now on; null: as before."
    )
    expected_version: Long | None = strawberry.field(
        default=None,
        description="Its `version` as you saw it: where somebody changed it since, nothing is"
        " changed, and the"
        " answer is a CONFLICT. Null: whatever it is.",
    )


WorldResult: TypeAlias = Annotated[
    World | Problem, strawberry.union("WorldResult", description="The world, or why it was refused.")
]


@strawberry.type
class WorldMutation:
    """Making, changing and ending worlds."""

    @mutation(description="Make a world that can do what another one can, or what is said.")
    async def create_world(
        self,
        info: Info,
        name: WorldName,
        like: Annotated[
            str | None,
            strawberry.argument(
                description="The world whose capabilities it gets; null: `local`, unless some are said."
            ),
        ] = None,
        ephemeral: Annotated[
            bool, strawberry.argument(description="Whether its data goes with it when it is retired.")
        ] = False,
        capabilities: Annotated[
            list[CapabilityInput] | None,
            strawberry.argument(description="What it can do, where it is not `like` another one."),
        ] = None,
        gates: Annotated[
            list[GateInput] | None, strawberry.argument(description="Who may come in; null: no gates.")
        ] = None,
    ) -> WorldResult:
        context = info.context

        async def ask() -> World:
            made = await context.api.worlds.create(
                context.actor,
                name,
                like,
                ephemeral=ephemeral,
                capabilities=_capabilities(capabilities),
                gates=_gates(gates) or {},
            )
            return World.of(made)

        async def where(error: InputError) -> list[str]:
            if error.path:
                return list(error.path)
            return ["like"] if isinstance(error, NotFound) else ["name"]

        return await attempt(ask(), where)

    @mutation(description="The world's gates are these from now on.")
    async def set_gates(
        self,
        info: Info,
        world: WorldName,
        gates: Annotated[list[GateInput], strawberry.argument(description="All of them.")],
    ) -> WorldResult:
        context = info.context

        async def ask() -> World:
            wanted = _gates(gates) or {}
            return World.of(await context.api.worlds.set_gates(context.actor, world, wanted))

        async def where(error: InputError) -> list[str]:
            return ["world"] if isinstance(error, NotFound) else ["gates"]

        return await attempt(ask(), where)

    @mutation(
        description="Change what a world can do, and who may come in. What is new works at once. A"
        " capability that"
        " services or resources use stays, by the driver that it has. For operators."
    )
    async def update_world(
        self,
        info: Info,
        input: Annotated[UpdateWorldInput, strawberry.argument(description="What shall be otherwise.")],  # noqa: A002
    ) -> WorldResult:
        context = info.context

        async def ask() -> World:
            changed = await context.api.worlds.update(
                context.actor,
                input.name,
                capabilities=_capabilities(input.capabilities),
                gates=_gates(input.gates),
                version=input.expected_version,
            )
            return World.of(changed)

        async def where(error: InputError) -> list[str]:
            return ["input", *(error.path or ("name",))]

        return await attempt(ask(), where)

    @mutation(description="End a world: its services, and if it is ephemeral its resources with their data.")
    async def retire_world(self, info: Info, world: WorldName) -> DeployResult:
        context = info.context

        async def ask() -> Change:
            return Change.of(await context.api.worlds.retire(context.actor, world))

        async def where(_: InputError) -> list[str]:
            return ["world"]

        return await attempt(ask(), where)


def _capabilities(given: list[CapabilityInput] | None) -> Mapping[str, words.Capability] | None:
    """By name. Raises InputError for a name that comes twice, and for what is no configuration."""
    if given is None:
        return None
    made: dict[str, words.Capability] = {}
    for at, one in enumerate(given):
        if one.name in made:
            raise _wrong(f"there are two capabilities {one.name!r}", "capabilities", str(at), "name")
        if one.config is not None and not isinstance(one.config, dict):
            raise _wrong(f"the configuration of {one.name} is no object", "capabilities", str(at), "config")
        made[one.name] = words.Capability(one.driver, one.config or {}, one.approval, one.limit)
    return made


def _gates(given: list[GateInput] | None) -> Mapping[str, words.Gate] | None:
    """By name. Raises InputError for a name that comes twice."""
    if given is None:
        return None
    made: dict[str, words.Gate] = {}
    for at, one in enumerate(given):
        if one.name in made:
            raise _wrong(f"there are two gates {one.name!r}", "gates", str(at), "name")
        made[one.name] = words.Gate(tuple(one.allow), tuple(one.ports))
    return made


def _wrong(message: str, *path: str) -> InputError:
    error = InputError(message, remedy="Say each once, its configuration as an object of keys and values.")
    error.path = path
    return error
