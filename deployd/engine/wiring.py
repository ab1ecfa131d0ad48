"""What a service's environment comes to: its references, resolved as they are at this moment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from deployd.catalog import BUILTIN
from deployd.engine.context import Context
from deployd.engine.naming import id_of
from deployd.engine.routing import reserve
from deployd.errors import Unsupported
from deployd.model.facts import DeploymentFacts, ResourceFacts, ServiceFacts
from deployd.model.reason import Reason
from deployd.model.reference import Reference, ReferenceKind, references, resolve
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store import machines, releases

__all__ = ["Environment", "environment", "secret_revisions", "url_variable"]


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables with their values, which of them hold a secret, and why some are missing, if so."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = frozenset()
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The secret values in them, by what people call them."""
    missing: Reason | None = None


def url_variable(service: str) -> str:
    """The variable by which a service is told the address of another that it requires."""
    return re.sub(r"[^A-Z0-9]", "_", service.upper()) + "_URL"


def written(spec: ServiceSpec) -> dict[str, str]:
    """The variables as the manifest has them, and those that `requires` adds."""
    added = {url_variable(one): str(Reference(ReferenceKind.SERVICES, one, "url")) for one in spec.requires}
    return {**added, **spec.env}


async def environment(
    context: Context, world_id: int, spec: ServiceSpec, *, addresses: bool = True
) -> Environment:
    """The service's environment. What cannot be had is left out, and told.

    Without `addresses` no service's address is asked for, since that reserves it. Raises Unsupported where
    services have no addresses.
    """
    wanted = written(spec)
    found: dict[Reference, str] = {}
    secret: set[Reference] = set()
    asked = references(wanted)
    values = await context.vault.secrets(
        world_id, sorted(one.name for one in asked if one.kind is ReferenceKind.SECRETS)
    )
    offered: dict[str, _Resource] = {}
    for one in sorted(asked, key=str):
        match one.kind:
            case ReferenceKind.SECRETS:
                secret.add(one)
                if one.name in values:
                    found[one] = values[one.name]
            case ReferenceKind.RESOURCES:
                if one.name not in offered:
                    offered[one.name] = await _resource(context, world_id, spec, one.name)
                if one.output in offered[one.name].secret:
                    secret.add(one)
                if one.output in offered[one.name].outputs:
                    found[one] = offered[one.name].outputs[one.output]
            case ReferenceKind.SERVICES:
                if addresses:
                    found[one] = await _address(context, world_id, one)
    given: dict[str, str] = {}
    holders: set[str] = set()
    missing: Reason | None = None
    for name, value in wanted.items():
        needs = references({name: value})
        if absent := sorted(str(one) for one in needs - found.keys()):
            missing = missing or _missing(spec, name, absent[0])
            continue
        given[name] = resolve(value, found.__getitem__)
        if needs & secret:
            holders.add(name)
    hidden = {_called(one): found[one] for one in secret if one in found}
    return Environment(given, frozenset(holders), hidden, missing)


async def secret_revisions(
    context: Context, world_id: int, specs: Iterable[ServiceSpec]
) -> dict[str, list[str]]:
    """By service: which settings of the secrets it refers to it would get now."""
    named = {
        spec.name: sorted(one.name for one in references(spec.env) if one.kind is ReferenceKind.SECRETS)
        for spec in specs
    }
    found = await context.vault.revisions(
        world_id, sorted({one for names in named.values() for one in names})
    )
    return {
        service: [f"{name} {found[name]}" for name in names if name in found]
        for service, names in named.items()
    }


def _called(reference: Reference) -> str:
    return ".".join(filter(None, (reference.name, reference.output)))


def _missing(spec: ServiceSpec, name: str, first: str) -> Reason:
    remedy = "Deploy again, so that what it needs is provided."
    if first.startswith("${secrets."):
        remedy = f"Set it: deployd secret set {first.removeprefix('${secrets.').removesuffix('}')}"
    summary = f"{spec.name}: {first}, which env.{name} refers to, is not there"
    return Reason("REFERENCE_MISSING", summary, remedy=remedy, key=f"env.{name}")


@dataclass(frozen=True, slots=True)
class _Resource:
    outputs: Mapping[str, str]
    secret: frozenset[str]


async def _resource(context: Context, world_id: int, spec: ServiceSpec, key: str) -> _Resource:
    """What a resource has to offer. All that a definition does not name as harmless is secret."""
    need = spec.resources.get(key)
    if need is None:
        return _Resource({}, frozenset())
    definition = next((one for one in BUILTIN if one.slug == need.slug), None)
    name = need.name(spec.name, key)
    resource = await machines.get_named(context.db, world_id, MachineKind.RESOURCE, name)
    if resource is None:
        return _Resource({}, frozenset())
    assert isinstance(resource.facts, ResourceFacts)
    outputs = await context.vault.outputs(world_id, resource.id)
    return _Resource(outputs, frozenset(outputs) if definition is None else definition.secret_outputs)


async def _address(context: Context, world_id: int, reference: Reference) -> str:
    """Where a service is reached within its world, whatever its release, before it has any."""
    service_id = await id_of(context, world_id, MachineKind.SERVICE, reference.name)
    service = await context.service_ref(world_id, service_id, reference.name)
    spec = await _spec_of(context, world_id, service_id)
    endpoint = await reserve(context, service, spec or ServiceSpec(reference.name, ports={"http": 80}))
    if endpoint is None:
        raise Unsupported(
            f"service {reference.name} of world {service.world} has no address that stays, so {reference} "
            "means nothing",
            remedy=f"Give {reference.name} a port, and its world an entrypoint; or write an address.",
        )
    return str(getattr(endpoint, reference.output))


async def _spec_of(context: Context, world_id: int, service_id: UUID) -> ServiceSpec | None:
    """What the service serves, or else what is being deployed to it; None while nobody knows."""
    service = await machines.get(context.db, world_id, service_id)
    if service is None:
        return None
    assert isinstance(service.facts, ServiceFacts)
    if service.facts.serving is not None:
        release = await releases.get(context.db, world_id, service.facts.serving)
        return None if release is None else release.spec
    for turn in (service.facts.current, service.facts.next):
        deployment = turn and await machines.get(context.db, world_id, turn.deployment_id)
        if deployment and isinstance(deployment.facts, DeploymentFacts):
            return deployment.facts.spec
    return None
