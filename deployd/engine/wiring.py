"""What a service's environment comes to: its references, resolved as they are at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployd.engine.context import Context
from deployd.model.reason import Reason
from deployd.model.reference import Reference, ReferenceKind, parts, references, resolve
from deployd.model.spec import ServiceSpec

__all__ = ["Environment", "environment", "literals"]


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables with their values, which of them hold a secret, and why some are missing, if so."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = frozenset()
    missing: Reason | None = None
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The secret values that are in those variables, by their names."""


def literals(spec: ServiceSpec) -> Mapping[str, str]:
    """The variables that hold no reference."""

    def refuse(reference: Reference) -> str:
        raise AssertionError(reference)

    return {
        name: resolve(value, refuse)
        for name, value in spec.env.items()
        if not any(isinstance(part, Reference) for part in parts(value))
    }


async def environment(context: Context, world_id: int, spec: ServiceSpec) -> Environment:
    """The service's environment. What cannot be had is left out, and told."""
    asked = sorted(one.name for one in references(spec.env) if one.kind is ReferenceKind.SECRETS)
    hidden = await context.vault.secrets(world_id, asked)
    found = {Reference(ReferenceKind.SECRETS, name): value for name, value in hidden.items()}
    values: dict[str, str] = {}
    secrets: set[str] = set()
    missing: Reason | None = None
    for name, value in spec.env.items():
        needs = references({name: value})
        if absent := sorted(str(one) for one in needs - found.keys()):
            missing = missing or _missing(spec, name, absent[0])
            continue
        values[name] = resolve(value, found.__getitem__)
        if needs:
            secrets.add(name)
    return Environment(values, frozenset(secrets), missing, hidden)


def _missing(spec: ServiceSpec, name: str, first: str) -> Reason:
    secret = first.removeprefix("${secrets.").removesuffix("}")
    return Reason(
        "REFERENCE_MISSING",
        f"{spec.name}: {first}, which env.{name} refers to, is not there",
        remedy=f"Set it: deployd secret set {secret}",
    )
