"""Changes: one request, its plan, and the deployments that it makes."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry

from deployd.errors import Conflict, InputError, NotFound
from deployd.graphql.context import Context, Info
from deployd.graphql.deployments import Deployment, is_final
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.problem import Problem, attempt, or_none, parse_id
from deployd.graphql.scalars import ChangeState
from deployd.graphql.transitions import Reason
from deployd.model.facts import ChangeFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind

__all__ = ["Change", "ChangeMutation", "ChangeQuery", "DeployInput", "DeployResult"]


@strawberry.type(description="One request, with the deployments that it makes.")
class Change:
    """A machine of that kind."""

    machine: strawberry.Private[Machine]
    id: strawberry.ID = strawberry.field(description="Names it.")
    state: ChangeState = strawberry.field(description="Where it stands.")
    finished: bool = strawberry.field(description="Whether it has ended, well or not.")
    directory: str = strawberry.field(description="The working directory that it deploys.")
    tree: str | None = strawberry.field(description="The git tree id of its snapshot, once that is taken.")
    requested_by: str = strawberry.field(description="Who asked for it.")
    services: list[str] = strawberry.field(description="Those asked for; none: all of the manifest.")
    plan: list[str] = strawberry.field(description="What it does, one line each.")
    plan_hash: str | None = strawberry.field(description="What an approval holds for.")
    reason: Reason | None = strawberry.field(description="Why it is as it is.")
    created_at: datetime = strawberry.field(description="When it was stored.")
    updated_at: datetime = strawberry.field(description="When it was last written.")

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The change as it is committed."""
        facts = _facts(machine)
        return cls(
            machine=machine,
            id=strawberry.ID(str(machine.id)),
            state=ChangeState(machine.state),
            finished=is_final(machine),
            directory=facts.source.directory,
            tree=facts.source.tree,
            requested_by=facts.requested_by,
            services=list(facts.services),
            plan=list(facts.plan),
            plan_hash=facts.plan_hash,
            reason=Reason.of(facts.reason),
            created_at=machine.created_at,
            updated_at=machine.updated_at,
        )

    @resolved(description="The deployments that it made, in the order of its plan.")
    async def deployments(self, info: Info) -> list[Deployment]:
        keys = [(self.machine.world_id, one) for one in _facts(self.machine).deployments]
        found = await asyncio.gather(*(info.context.loaders.machines.load(key) for key in keys))
        return [Deployment.of(one) for one in found if one is not None]


def _facts(machine: Machine) -> ChangeFacts:
    assert isinstance(machine.facts, ChangeFacts)
    return machine.facts


@strawberry.input(description="What to deploy, and where.")
class DeployInput:
    """The request of `deploy`."""

    world: str = strawberry.field(description="The world's name.")
    directory: str = strawberry.field(description="A folder on the server's host with a manifest; absolute.")
    services: list[str] = strawberry.field(
        default_factory=list, description="Which of the manifest's services; none: all."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same request under the same key gives the same change."
    )


DeployResult: TypeAlias = Annotated[
    Change | Problem,
    strawberry.union("DeployResult", description="The change that does it, or why it was refused."),
]


@strawberry.type
class ChangeQuery:
    """Asking once."""

    @resolved(description="The change with this id.")
    async def change(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The change's id.")],  # noqa: A002
    ) -> Change | None:
        context = info.context
        machine = await or_none(context.operations.machine(context.actor, parse_id(id)))
        return Change.of(machine) if machine is not None and machine.kind is MachineKind.CHANGE else None


@strawberry.type
class ChangeMutation:
    """Asking for something new."""

    @mutation(description="Deploy a working directory. The answer comes once that is durable.")
    async def deploy(
        self,
        info: Info,
        input: Annotated[DeployInput, strawberry.argument(description="What, and where.")],  # noqa: A002
    ) -> DeployResult:
        context = info.context

        async def ask() -> Change:
            return Change.of(
                await context.operations.deploy(
                    context.actor, input.world, input.directory, input.services, input.idempotency_key
                )
            )

        return await attempt(ask(), lambda error: _path(context, input.world, error))


async def _path(context: Context, world: str, error: InputError) -> list[str]:
    """Which field of the input the error is about; looked up only once there is one."""
    if isinstance(error, Conflict):
        return ["input", "idempotencyKey"]
    if not isinstance(error, NotFound):
        place = await or_none(context.operations.world(context.actor, world))
        if place is not None and place.capabilities:
            return ["input", "directory"]
    return ["input", "world"]
