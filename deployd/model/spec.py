"""What a developer's file says of one service, resolved and checked: the input of drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BuildSpec", "HealthSpec", "ServiceSpec", "SizeSpec"]


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """Where the Dockerfile is, relative to the root of the source tree, with `/` between names."""

    context: str = "."
    dockerfile: str = "Dockerfile"
    """Relative to the context."""


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """How it is seen that a service does well."""

    path: str | None = None
    """An HTTP path that answers 200 to 399. Without: its first port accepts; without ports: it stays up."""
    timeout: float = 60.0
    """Seconds within which a new release has to become healthy."""


@dataclass(frozen=True, slots=True)
class SizeSpec:
    """What a service may use."""

    cpu: float | None = None
    """Cores."""
    memory: int | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service of a manifest. `ports` maps a port's name to the number that the program knows it by."""

    name: str
    build: BuildSpec | None = None
    run: str | None = None
    """A shell command line, run where the world runs processes; else the Dockerfile says."""
    ports: Mapping[str, int] = field(default_factory=dict)
    health: HealthSpec = HealthSpec()
    size: SizeSpec = SizeSpec()
    scale: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
