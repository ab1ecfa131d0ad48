"""What an operator publishes behind a slug: a definition of a resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Definition", "Parameter", "Value"]

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a developer may set."""

    type: str
    """`integer`, `number`, `string` or `boolean`."""
    default: Value
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] = ()
    """What it may be; none: anything of its type within its bounds."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A resource that can be asked for."""

    slug: str
    type: str
    """What it is to those who use it: `postgres`."""
    driver: str
    """Who makes it: `local/postgres`."""
    description: str = ""
    params: Mapping[str, Parameter] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    """Fixed by the operator."""
    outputs: tuple[str, ...] = ()
    """What references may name."""
    secret_outputs: frozenset[str] = frozenset()
    """Those of them that hold a secret."""
