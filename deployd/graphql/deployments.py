"""Deployments and the releases that they make services serve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Self

import strawberry

from deployd.engine import rollout
from deployd.graphql.answers import MachineAnswer
from deployd.graphql.connections import Connection
from deployd.graphql.context import Context, Info
from deployd.graphql.explanations import Explanation
from deployd.graphql.fields import Wanted, resolved
from deployd.graphql.lasting import Lasting
from deployd.graphql.problem import or_none, parse_id
from deployd.graphql.releases import Release, load_releases
from deployd.graphql.scalars import CursorText, DeploymentState
from deployd.graphql.transitions import Reason, Transition
from deployd.machines import TABLES
from deployd.model.facts import DeploymentFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store.expected import Expected
from deployd.store.reads import Key

__all__ = [
    "Deployment",
    "DeploymentEvent",
    "DeploymentId",
    "DeploymentQuery",
    "ExpectedStep",
    "is_final",
    "page",
]

_FINAL = {
    kind: frozenset(str(state.name) for state in table.states if state.final)
    for kind, table in TABLES.items()
}

DeploymentId = Annotated[strawberry.ID, strawberry.argument(description="The deployment's id.")]


def is_final(machine: Machine) -> bool:
    """Whether nothing leads out of the state that it is in."""
    return machine.state in _FINAL[machine.kind]


@strawberry.type(description="How long a state of a deployment is likely to last.")
class ExpectedStep:
    """One state."""

    state: DeploymentState = strawberry.field(description="Which.")
    seconds: float = strawberry.field(description="The median of those before.")


async def _releases(
    context: Context, deployments: Sequence[Deployment], wanted: Wanted = None
) -> list[Release | None]:
    """The release of each."""
    keys: list[Key | None] = []
    for one in deployments:
        assert isinstance(one.machine.facts, DeploymentFacts)
        release_id = one.machine.facts.release_id
        keys.append(None if release_id is None else (one.machine.world_id, release_id))
    return await load_releases(context, keys, at_once=wanted is not None)


@strawberry.type(description="One finite attempt to make a service serve a release.")
class Deployment(Lasting, MachineAnswer):
    """A machine of that kind."""

    machine: strawberry.Private[Machine]
    id: strawberry.ID = strawberry.field(description="Names it.")
    service: str = strawberry.field(description="Its service's name.")
    service_id: strawberry.ID = strawberry.field(description="Its service's id.")
    change_id: strawberry.ID | None = strawberry.field(
        description="The change that made it; null for a rollback or a retry."
    )
    state: DeploymentState = strawberry.field(description="Where it stands.")
    finished: bool = strawberry.field(description="Whether it has ended, well or not.")
    purpose: str = strawberry.field(description="`deploy`, `rollback` or `retry`.")
    requested_by: str = strawberry.field(description="Who asked for it.")
    requested_at: datetime = strawberry.field(description="When that was; the newest of a service counts.")
    address: str | None = strawberry.field(description="Where its release answers, as a URL.")
    url: str | None = strawberry.field(
        description="Where its service was reached once it had succeeded, as a URL; null where there is none."
    )
    plan: list[str] = strawberry.field(description="What it does, one line each.")
    notes: list[str] = strawberry.field(
        description="What this world does otherwise than another, without harm."
    )
    plan_hash: str | None = strawberry.field(description="What an approval holds for.")
    reason: Reason | None = strawberry.field(description="Why it is as it is.")
    created_at: datetime = strawberry.field(description="When it was stored.")
    updated_at: datetime = strawberry.field(description="When it was last written.")

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The deployment as it is committed."""
        facts = machine.facts
        assert isinstance(facts, DeploymentFacts)
        return cls(
            machine=machine,
            id=strawberry.ID(str(machine.id)),
            service=facts.service,
            service_id=strawberry.ID(str(machine.service_id)),
            change_id=None if machine.change_id is None else strawberry.ID(str(machine.change_id)),
            state=DeploymentState(machine.state),
            finished=is_final(machine),
            purpose=facts.purpose,
            requested_by=facts.requested_by,
            requested_at=facts.requested_at,
            address=facts.address,
            url=facts.url,
            plan=list(facts.actions),
            notes=list(facts.notes),
            plan_hash=facts.plan_hash,
            reason=Reason.of(facts.reason),
            created_at=machine.created_at,
            updated_at=machine.updated_at,
        )

    @classmethod
    def project(cls, machine: Machine, world: str) -> Self:
        """The machine as this type."""
        return cls.of(machine)

    @resolved(description="Why it is as it is, from what was asked for to the root cause.")
    async def why(self, info: Info) -> Explanation:
        return await Explanation.found(info.context, self.machine)

    @resolved(
        description="How far its rollout is: `canary: 10 % for 12 s more`; null where the state says all."
    )
    def progress(self) -> str | None:
        assert isinstance(self.machine.facts, DeploymentFacts)
        return rollout.progress(self.machine.facts, self.machine.state, datetime.now(UTC))

    @resolved(description="Its release; null until that is made.", many=_releases, settled=True)
    async def release(self, info: Info) -> Release | None:
        return (await _releases(info.context, [self]))[0]

    @resolved(
        description="How long one like it takes, without waiting for its turn or a person: the median of the"
        " service's last ten that succeeded; null without any."
    )
    async def expected_seconds(self, info: Info) -> float | None:
        found = await self._expected(info.context)
        return None if found is None else found.seconds

    @resolved(description="The same of each state that they went through, in order.")
    async def expected_steps(self, info: Info) -> list[ExpectedStep]:
        found = await self._expected(info.context)
        steps = {} if found is None else found.steps
        return [ExpectedStep(state=one, seconds=steps[one]) for one in DeploymentState if one in steps]

    async def _expected(self, context: Context) -> Expected | None:
        facts, service_id = self.machine.facts, self.machine.service_id
        assert isinstance(facts, DeploymentFacts)
        assert service_id is not None
        like = ((self.machine.world_id, service_id), facts.purpose == "rollback")
        return await context.loaders.expected.load(like)


def page(context: Context, found: list[Machine], first: int, after: str | None) -> Connection[Deployment]:
    """A page of deployments, newest first."""
    shown = context.api.memory.shown
    return shown.of(
        found,
        lambda found: Connection.of(
            found,
            first,
            lambda one: shown.of(one, Deployment.of),
            lambda one: (one.created_at, one.id),
            after,
        ),
        first,
        after,
    )


@strawberry.type(description="A deployment as it is now, with what moved it since the event before.")
class DeploymentEvent:
    """One event of a subscription."""

    deployment: Deployment = strawberry.field(description="As it is now.")
    transitions: list[Transition] = strawberry.field(description="Its own, in order, each told once.")
    cursor: CursorText = strawberry.field(description="Behind the last of them: send it to read on.")


async def _deployment(context: Context, text: str) -> Machine | None:
    machine = await or_none(context.operations.machine(context.actor, parse_id(text)))
    return machine if machine is not None and machine.kind is MachineKind.DEPLOYMENT else None


@strawberry.type
class DeploymentQuery:
    """Asking once."""

    @resolved(description="The deployment with this id.")
    async def deployment(self, info: Info, id: DeploymentId) -> Deployment | None:  # noqa: A002
        machine = await _deployment(info.context, id)
        return None if machine is None else Deployment.of(machine)
