"""Services: how they do, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry

from deployd.engine.copies import copies
from deployd.errors import InputError, NotFound
from deployd.graphql import below, places, releases
from deployd.graphql.answers import MachineAnswer
from deployd.graphql.connections import PAGE, AfterItem, Connection, FirstItems
from deployd.graphql.context import Context, Info
from deployd.graphql.deployments import Deployment
from deployd.graphql.explanations import Explanation
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.holds import Hold
from deployd.graphql.lasting import Lasting
from deployd.graphql.problem import Problem, attempt, or_none, parse_id, take
from deployd.graphql.releases import Release
from deployd.graphql.resources import Resource
from deployd.graphql.scalars import Health, ServiceState
from deployd.graphql.transitions import Reason, WorldName
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine

__all__ = ["Service", "ServiceMutation", "ServiceQuery", "ServiceResult", "where"]

ServiceName = Annotated[str, strawberry.argument(description="The service's name in that world.")]


@strawberry.type(description="A unit of software in a world.")
class Service(Lasting, MachineAnswer):
    """A machine of that kind."""

    machine: strawberry.Private[Machine]
    id: strawberry.ID = strawberry.field(description="Names it; another service of this name has another.")
    name: str = strawberry.field(description="As the manifest names it.")
    world: str = strawberry.field(description="The name of its world.")
    state: ServiceState = strawberry.field(description="Where it stands.")
    health: Health = strawberry.field(description="How it does.")
    address: str | None = strawberry.field(
        description="Where its release answers, as a URL; another release, another one."
    )
    url: str | None = strawberry.field(
        description="Where it is reached whatever its release, as a URL; null where its world gives it none."
    )
    urls: list[str] = strawberry.field(description="All such addresses: that one, and its routes'.")
    pid: int | None = strawberry.field(description="Its process, where it runs as one.")
    running: int = strawberry.field(description="How many copies of it were there at the last look.")
    restarts: int = strawberry.field(description="How often it was restarted by itself since its release.")
    reason: Reason | None = strawberry.field(description="Why it is as it is.")
    schedule: str | None = strawberry.field(
        description="When it runs, as five fields of cron in UTC; null where it stays up."
    )
    next_run_at: datetime | None = strawberry.field(
        description="When it is due next; null without a schedule, and while it is suspended."
    )
    running_since: datetime | None = strawberry.field(
        description="When the run of its schedule began that is under way."
    )
    last_run_at: datetime | None = strawberry.field(description="When its last run began that has ended.")
    last_run_reason: Reason | None = strawberry.field(
        description="How that ended: RUN_SUCCEEDED, RUN_CANCELLED, or why it failed."
    )
    holds: list[Hold] = strawberry.field(
        description="What must not be deployed to it, and who says so; none: anything may."
    )
    created_at: datetime = strawberry.field(description="When it first came to be.")
    updated_at: datetime = strawberry.field(description="When it was last written.")

    @classmethod
    def of(cls, machine: Machine, world: str) -> Self:
        """The service as it is committed; `world` is the name of its world."""
        facts = _facts(machine)
        return cls(
            machine=machine,
            id=strawberry.ID(str(machine.id)),
            name=facts.name,
            world=world,
            state=ServiceState(machine.state),
            health=facts.health,
            address=facts.address,
            url=facts.url,
            urls=list(facts.urls),
            pid=facts.pid,
            running=facts.running,
            restarts=facts.restarts,
            reason=Reason.of(facts.reason),
            schedule=facts.schedule,
            next_run_at=facts.next_run_at,
            running_since=None if facts.run is None else facts.run.at,
            last_run_at=None if facts.last_run is None else facts.last_run.at,
            last_run_reason=None if facts.last_run is None else Reason.of(facts.last_run.reason),
            holds=[Hold.of(one, machine.world_id) for one in facts.holds],
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

    @resolved(description="The release that it serves.", many=below.serving, settled=True)
    async def serving(self, info: Info) -> Release | None:
        return (await below.serving(info.context, [self]))[0]

    @resolved(
        description="The release that it served before: where a rollback leads by itself.",
        many=below.previous,
        settled=True,
    )
    async def previous(self, info: Info) -> Release | None:
        return (await below.previous(info.context, [self]))[0]

    @resolved(
        description="The resources that the release it serves needs, by name; those of others that it shares"
        " too.",
        many=below.resources,
        settled=True,
    )
    async def resources(self, info: Info) -> list[Resource]:
        return (await below.resources(info.context, [self]))[0]

    @resolved(
        description="How many copies of what it serves shall run; null while it serves nothing, and where"
        " it runs by a schedule.",
        settled=True,
    )
    async def copies(self, info: Info) -> int | None:
        facts = _facts(self.machine)
        if facts.serving is None or facts.schedule is not None:
            return None
        release = await info.context.loaders.releases.load((self.machine.world_id, facts.serving))
        return None if release is None else copies(release.spec.scale, facts.copies)

    @resolved(
        description="What a rollback to a release (null: the one served before) does not undo: commands that"
        " later releases ran before they served, one line each."
    )
    async def rollback_warnings(
        self,
        info: Info,
        release: Annotated[
            strawberry.ID | None, strawberry.argument(description="One of the service's releases.")
        ] = None,
    ) -> list[str]:
        target = None if release is None else parse_id(release)
        return list(await info.context.api.restraint.warnings(self.machine, target))

    @resolved(description="The deployment that works on it now.", many=below.deployment, settled=True)
    async def deployment(self, info: Info) -> Deployment | None:
        return (await below.deployment(info.context, [self]))[0]

    @resolved(description="Its deployments, newest first.", many=below.deployments, settled=True)
    async def deployments(
        self, info: Info, first: FirstItems = 20, after: AfterItem = None
    ) -> Connection[Deployment]:
        return (await below.deployments(info.context, [self], None, first, after))[0]

    @resolved(description="Its releases, newest first.")
    async def releases(
        self, info: Info, first: FirstItems = 20, after: AfterItem = None
    ) -> Connection[Release]:
        key, way = (self.machine.world_id, self.machine.id), (places.number(after), take(first, PAGE) + 1)
        return releases.of_service(await info.context.loaders.newest_releases.load((key, way)), first, after)


def _facts(machine: Machine) -> ServiceFacts:
    assert isinstance(machine.facts, ServiceFacts)
    return machine.facts


ServiceResult: TypeAlias = Annotated[
    Service | Problem,
    strawberry.union(
        "ServiceResult", description="The service as it was just before, or why it was refused."
    ),
]


@strawberry.type
class ServiceQuery:
    """Asking once."""

    @resolved(description="The living service of this name.")
    async def service(self, info: Info, world: WorldName, name: ServiceName) -> Service | None:
        context = info.context
        machine = await or_none(context.operations.service(context.actor, world, name))
        return None if machine is None else Service.of(machine, world)


@strawberry.type
class ServiceMutation:
    """Asking something of a service. The answer comes once the request is durable; follow what it does."""

    @mutation(
        description="Go back to a release: the one named, or the one served before. The release that is left"
        " is held from now on, and the one gone to is not any more."
    )
    async def rollback(
        self,
        info: Info,
        world: WorldName,
        service: ServiceName,
        release: Annotated[
            strawberry.ID | None, strawberry.argument(description="One of the service's releases.")
        ] = None,
    ) -> ServiceResult:
        context = info.context

        async def ask() -> Service:
            target = None if release is None else parse_id(release)
            return Service.of(await context.operations.rollback(context.actor, world, service, target), world)

        return await attempt(ask(), lambda error: where(context, world, service, error, ["release"]))

    @mutation(description="Stop running, and stay so until somebody resumes it or deploys.")
    async def suspend(self, info: Info, world: WorldName, service: ServiceName) -> ServiceResult:
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, world, service, operations.suspend(actor, world, service))

    @mutation(description="Serve again what was suspended.")
    async def resume(self, info: Info, world: WorldName, service: ServiceName) -> ServiceResult:
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, world, service, operations.resume(actor, world, service))

    @mutation(description="Run once now, beside its schedule: only for a service that has one.")
    async def run(self, info: Info, world: WorldName, service: ServiceName) -> ServiceResult:
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, world, service, operations.run(actor, world, service))

    @mutation(description="End for good. Releases, logs and history are kept.")
    async def retire(self, info: Info, world: WorldName, service: ServiceName) -> ServiceResult:
        operations, actor = info.context.operations, info.context.actor
        return await _answer(info.context, world, service, operations.retire(actor, world, service))


async def _answer(context: Context, world: str, service: str, asked: Awaitable[Machine]) -> Service | Problem:
    async def ask() -> Service:
        return Service.of(await asked, world)

    return await attempt(ask(), lambda error: where(context, world, service, error, ["service"]))


async def where(
    context: Context, world: str, service: str, error: InputError, otherwise: list[str]
) -> list[str]:
    """Which argument the error is about; looked up only once there is one."""
    if isinstance(error, NotFound):
        if await or_none(context.operations.world(context.actor, world)) is None:
            return ["world"]
        if await or_none(context.operations.service(context.actor, world, service)) is None:
            return ["service"]
    return otherwise
