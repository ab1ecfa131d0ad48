"""What a deployment would do, and whatever can be known to be wrong with it, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from deployd.drivers.api import Deployer, Plan, ReleaseSpec, ServiceRef, Supports
from deployd.engine import rollout
from deployd.engine.context import Context
from deployd.engine.provisioning import planned
from deployd.engine.routing import drain_seconds, refusals
from deployd.engine.scheduling import schedule_problem
from deployd.engine.wiring import environment
from deployd.model.reason import Reason, Subject, SubjectKind
from deployd.model.reference import ReferenceKind, references
from deployd.model.spec import ServiceSpec

__all__ = ["Foreseen", "foresee", "refusal", "unreachable"]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a deployment would do."""

    plan: Plan
    replaces: tuple[str, ...] = ()
    """Resources that others would take the place of, with their data: an approval has to allow it."""


async def foresee(
    context: Context, deployer: Deployer, service: ServiceRef, release: ReleaseSpec
) -> Foreseen:
    """What deploying would do, by all who have a say in it; refusals of all of them. Changes nothing."""
    spec = release.spec
    routed = await drain_seconds(context, service.world_id) is not None
    provisions = await planned(context, service.world_id, service.service_id, spec)
    refused = (
        *unsupported(spec, deployer.supports, service.world, routed=routed),
        *rollout.refusals(spec, deployer.supports, routed=routed),
        *await refusals(context, service, spec),
        *provisions.refusals,
    )
    if refused:
        return Foreseen(Plan(refusals=_about(spec, refused)))
    env = await environment(context, service.world_id, spec, addresses=False)
    release = replace(release, env=env.values, secrets=env.secrets, hidden=env.hidden)
    made = await deployer.plan(service, release)
    ways = (
        f"route {one.host}{one.path}" + (f" through the gate {one.gate}" if one.gate else "")
        for one in spec.routes
    )
    actions = (*provisions.lines, *made.actions, *rollout.described(spec), *ways)
    made = replace(made, refusals=_about(spec, made.refusals), actions=actions)
    return Foreseen(made, provisions.replaces)


def _about(spec: ServiceSpec, refusals: Iterable[Reason]) -> tuple[Reason, ...]:
    """Whoever refused a service, it is the service that they speak of."""
    subject = Subject(SubjectKind.SERVICE, spec.name)
    return tuple(replace(one, subject=one.subject or subject) for one in refusals)


def refusal(plan: Plan) -> Reason | None:
    """The refusals of a plan as one reason."""
    if not plan.refusals:
        return None
    first, *others = plan.refusals
    evidence = "\n".join([first.evidence, *(f"{one.summary} {one.remedy}" for one in others)]).strip()
    return replace(first, evidence=evidence)


def unreachable(spec: ServiceSpec, manifest: Iterable[ServiceSpec]) -> Iterable[Reason]:
    """Services of the same manifest whose address this one asks for, and which have none."""
    silent = {one.name for one in manifest if not one.ports}
    named = {one.name for one in references(spec.env) if one.kind is ReferenceKind.SERVICES}
    for name in sorted(silent & {*spec.requires, *named}):
        key = f"requires[{spec.requires.index(name)}]" if name in spec.requires else "env"
        yield Reason(
            "NO_PORT",
            f"{spec.name}: it asks for the address of {name}, which has no port",
            remedy=f"Add `port:` to {name} in deployd.yaml, or take {name} out of `requires:` and `env:`.",
            key=key,
            subject=Subject(SubjectKind.SERVICE, spec.name),
        )


def unsupported(spec: ServiceSpec, supports: Supports, world: str, *, routed: bool) -> Iterable[Reason]:
    """What the manifest asks for and this world cannot do: refused, never ignored."""

    def no(what: str, remedy: str, key: str) -> Reason:
        return Reason("UNSUPPORTED", f"{spec.name}: world {world} {what}", remedy=remedy, key=key)

    elsewhere = "or deploy it to another world."
    if spec.image is not None and supports.runs != "image":
        yield no(
            f"runs source trees, not images such as {spec.image}",
            "Write `build:` or `run:` instead (for this world alone: below `worlds:`), " + elsewhere,
            "image",
        )
    if not supports.tasks:
        for name, wanted in (("before", spec.before), ("schedule", spec.schedule)):
            if wanted is not None:
                yield no(f"cannot run commands once, as `{name}:` needs", f"Leave it out, {elsewhere}", name)
    if spec.schedule is not None and (problem := schedule_problem(spec.schedule)):
        yield Reason(
            "BAD_SCHEDULE",
            f"{spec.name}: `schedule: {spec.schedule}` says no time: {problem}",
            remedy="Give five fields as cron has them, in UTC, such as `0 3 * * *`.",
            key="schedule",
        )
    if not routed and spec.requires:
        yield no(
            "gives services no addresses that stay, as `requires:` needs",
            f"Write the addresses into `env:`, {elsewhere}",
            "requires",
        )
