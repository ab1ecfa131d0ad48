"""Changes: one request, its plan, and the deployments that it makes."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry

from deployd.engine.wanted import Patch, Repository
from deployd.errors import Conflict, InputError
from deployd.graphql.answers import MachineAnswer
from deployd.graphql.context import Context, Info
from deployd.graphql.deployments import Deployment, is_final
from deployd.graphql.explanations import Explanation
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.plans import PlanItem
from deployd.graphql.problem import Problem, attempt, or_none, parse_id
from deployd.graphql.scalars import ChangeState
from deployd.graphql.transitions import Reason
from deployd.model.facts import ChangeFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind

__all__ = ["Change", "ChangeMutation", "ChangeQuery", "DeployInput", "DeployResult", "RepositoryInput"]


@strawberry.type(description="One request, with the deployments that it makes.")
class Change(MachineAnswer):
    """A machine of that kind."""

    machine: strawberry.Private[Machine]
    id: strawberry.ID = strawberry.field(description="Names it.")
    state: ChangeState = strawberry.field(description="Where it stands.")
    finished: bool = strawberry.field(description="Whether it has ended, well or not.")
    directory: str | None = strawberry.field(description="The working directory that it deploys, if any.")
    repository: str | None = strawberry.field(description="The git repository that it deploys, if any.")
    ref: str | None = strawberry.field(
        description="The branch, tag or commit that was asked for; none: the default branch."
    )
    commit: str | None = strawberry.field(description="The commit that the ref was, once that is known.")
    upload: strawberry.ID | None = strawberry.field(description="The upload that it deploys, if any.")
    tree: str | None = strawberry.field(description="The git tree id of its snapshot, once that is taken.")
    requested_by: str = strawberry.field(description="Who asked for it.")
    services: list[str] = strawberry.field(
        description="Those asked for, affected or not; none: those of the manifest that are affected."
    )
    everything: bool = strawberry.field(description="All services of the manifest, affected or not.")
    automatic: bool = strawberry.field(
        description="A trigger asked for it, not a person: it replaces nothing that is newer."
    )
    unaffected: list[str] = strawberry.field(
        description="Services that serve already what this would deploy, or something newer; `plan` says why."
    )
    dry_run: bool = strawberry.field(description="Whether it only plans: it ends `PLANNED`, nothing is done.")
    plan: list[str] = strawberry.field(description="What it does, one line each.")
    plan_hash: str | None = strawberry.field(description="What an approval holds for.")
    reason: Reason | None = strawberry.field(description="Why it is as it is.")
    created_at: datetime = strawberry.field(description="When it was stored.")
    updated_at: datetime = strawberry.field(description="When it was last written.")

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The change as it is committed."""
        facts = _facts(machine)
        source = facts.source
        return cls(
            machine=machine,
            id=strawberry.ID(str(machine.id)),
            state=ChangeState(machine.state),
            finished=is_final(machine),
            directory=source.directory,
            repository=source.repository,
            ref=source.ref,
            commit=source.commit,
            upload=None if source.upload is None else strawberry.ID(str(source.upload)),
            tree=source.tree,
            requested_by=facts.requested_by,
            services=list(facts.services),
            everything=facts.everything,
            automatic=facts.automatic,
            dry_run=facts.dry_run,
            unaffected=list(facts.unaffected),
            plan=list(facts.plan),
            plan_hash=facts.plan_hash,
            reason=Reason.of(facts.reason),
            created_at=machine.created_at,
            updated_at=machine.updated_at,
        )

    @classmethod
    def project(cls, machine: Machine, world: str) -> Self:
        """The machine as this type."""
        return cls.of(machine)

    @resolved(
        description="What becomes of every service, resource and route of its manifest, also of those that"
        " stay as they are; empty until it has planned."
    )
    async def plan_items(self, info: Info) -> list[PlanItem]:
        return [PlanItem.of(one) for one in _facts(self.machine).items]

    @resolved(description="Why it is as it is, from what was asked for to the root cause.")
    async def why(self, info: Info) -> Explanation:
        return await Explanation.found(info.context, self.machine)

    @resolved(description="The deployments that it made, in the order of its plan.")
    async def deployments(self, info: Info) -> list[Deployment]:
        keys = [(self.machine.world_id, one) for one in _facts(self.machine).deployments]
        found = await asyncio.gather(*(info.context.loaders.machines.load(key) for key in keys))
        return [Deployment.of(one) for one in found if one is not None]


def _facts(machine: Machine) -> ChangeFacts:
    assert isinstance(machine.facts, ChangeFacts)
    return machine.facts


@strawberry.input(description="A git repository with a manifest at its root.")
class RepositoryInput:
    """A source of `deploy`."""

    url: str = strawberry.field(
        description="file://, https://, ssh:// or an absolute path on the server's host; without credentials."
    )
    ref: str | None = strawberry.field(
        default=None, description="A branch, a tag or a whole commit id; none: the default branch."
    )


@strawberry.input(description="What to deploy, and where: one of a directory, a repository and an upload.")
class DeployInput:
    """The request of `deploy`."""

    world: str = strawberry.field(description="The world's name.")
    directory: str | None = strawberry.field(
        default=None, description="A folder on the server's host with a manifest; absolute."
    )
    repository: RepositoryInput | None = strawberry.field(
        default=None, description="A git repository, fetched when the change plans."
    )
    upload: strawberry.ID | None = strawberry.field(
        default=None, description="What POST /api/v1/uploads answered: a tar.gz with a manifest at its root."
    )
    services: list[str] = strawberry.field(
        default_factory=list,
        description="Which of the manifest's services, affected or not; none: those that are affected.",
    )
    everything: bool = strawberry.field(
        default=False, description="All services of the manifest, those too that serve this already."
    )
    automatic: bool = strawberry.field(
        default=False,
        description="A trigger asks, not a person: a commit never replaces a newer one of the same branch.",
    )
    base: str | None = strawberry.field(
        default=None,
        description="The tree (of an earlier change) that the upload's files replace and add to; none: they"
        " are all there is. Where it is not known any more the change fails with BASE_UNKNOWN.",
    )
    removed: list[str] = strawberry.field(
        default_factory=list, description="Paths of files of the base that are gone."
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

    @mutation(description="Deploy a source. The answer comes once that is durable.", keyed=False)
    async def deploy(
        self,
        info: Info,
        input: Annotated[DeployInput, strawberry.argument(description="What, and where.")],  # noqa: A002
    ) -> DeployResult:
        return await _asked(info.context, input, dry_run=False)

    @mutation(
        description="Say what `deploy` would do with this input now, and do nothing: the change ends"
        " `PLANNED` with its `planItems`, or `FAILED` for the reason for which the deployment would."
    )
    async def plan(
        self,
        info: Info,
        input: Annotated[DeployInput, strawberry.argument(description="What, and where.")],  # noqa: A002
    ) -> DeployResult:
        return await _asked(info.context, input, dry_run=True)


async def _asked(context: Context, given: DeployInput, *, dry_run: bool) -> Change | Problem:
    async def ask() -> Change:
        return Change.of(
            await context.operations.deploy(
                context.actor,
                given.world,
                given.directory,
                given.services,
                given.idempotency_key,
                repository=_repository(given),
                upload=None if given.upload is None else parse_id(given.upload),
                patch=_patch(given),
                everything=given.everything,
                automatic=given.automatic,
                dry_run=dry_run,
            )
        )

    return await attempt(ask(), lambda error: _path(context, given, error))


def _repository(given: DeployInput) -> Repository | None:
    return None if given.repository is None else Repository(given.repository.url, given.repository.ref)


def _patch(given: DeployInput) -> Patch:
    return Patch(given.base, tuple(given.removed))


async def _path(context: Context, given: DeployInput, error: InputError) -> list[str]:
    """Which field of the input the error is about; looked up only once there is one."""
    if isinstance(error, Conflict):
        return ["input", "idempotencyKey"]
    place = await or_none(context.operations.world(context.actor, given.world))
    if place is None or not place.capabilities:
        return ["input", "world"]
    sources = {"directory": given.directory, "repository": given.repository, "upload": given.upload}
    names = [name for name, one in sources.items() if one is not None]
    if len(names) != 1 or (given.everything and given.services):
        return ["input"]
    patch = _patch(given)
    if patch != Patch():
        try:
            patch.check()
        except InputError:
            return ["input", "removed" if given.removed else "base"]
        if given.upload is None:
            return ["input", "base"]
    if given.repository is None:
        return ["input", names[0]]
    try:
        Repository(given.repository.url).check()
    except InputError:
        return ["input", "repository", "url"]
    return ["input", "repository", "ref"]
