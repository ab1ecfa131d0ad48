"""What can be asked of any machine by its id: cancel, retry, approve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias
from uuid import UUID

import strawberry

from deployd.errors import InputError, Unsupported
from deployd.graphql.changes import Change
from deployd.graphql.context import Context, Info
from deployd.graphql.deployments import Deployment
from deployd.graphql.fields import mutation
from deployd.graphql.problem import Problem, attempt, parse_id
from deployd.graphql.services import Service
from deployd.model.machine import Machine
from deployd.model.state import MachineKind

__all__ = ["MachineMutation", "MachineResult"]

MachineResult: TypeAlias = Annotated[
    Service | Deployment | Change | Problem,
    strawberry.union(
        "MachineResult", description="The machine as it was just before, or why it was refused."
    ),
]
MachineId = Annotated[strawberry.ID, strawberry.argument(description="Of a service, deployment or change.")]


@strawberry.type
class MachineMutation:
    """Asking. The answer comes once the request is durable; follow what it does."""

    @mutation(description="Give up what it does.")
    async def cancel(self, info: Info, id: MachineId) -> MachineResult:  # noqa: A002
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, id, lambda found: operations.cancel(actor, found))

    @mutation(description="Try a deployment again, as a new one; wake one that waits for a retry.")
    async def retry(self, info: Info, id: MachineId) -> MachineResult:  # noqa: A002
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, id, lambda found: operations.retry(actor, found))

    @mutation(description="Approve exactly the plan with this hash.")
    async def approve(
        self,
        info: Info,
        id: MachineId,  # noqa: A002
        plan_hash: Annotated[str, strawberry.argument(description="Its `planHash`, as it was looked at.")],
    ) -> MachineResult:
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, id, lambda found: operations.approve(actor, found, plan_hash))


async def _answer(
    context: Context, text: str, ask: Callable[[UUID], Awaitable[Machine]]
) -> Service | Deployment | Change | Problem:
    async def work() -> Service | Deployment | Change:
        machine_id = parse_id(text)
        machine = await context.operations.machine(context.actor, machine_id)
        if machine.kind is MachineKind.RESOURCE:
            raise Unsupported("resources cannot be asked for anything yet")
        return await _project(context, await ask(machine_id))

    async def where(_: InputError) -> list[str]:
        return ["id"]

    return await attempt(work(), where)


async def _project(context: Context, machine: Machine) -> Service | Deployment | Change:
    if machine.kind is MachineKind.DEPLOYMENT:
        return Deployment.of(machine)
    if machine.kind is MachineKind.CHANGE:
        return Change.of(machine)
    names = {one.world_id: one.name for one in await context.operations.worlds(context.actor)}
    return Service.of(machine, names[machine.world_id])
