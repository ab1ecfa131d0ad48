"""What a developer's file says of one service in one world, resolved and checked: the input of planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "BeforeSpec",
    "BuildSpec",
    "HealthSpec",
    "ResourceNeed",
    "RolloutSpec",
    "RouteSpec",
    "ScaleSpec",
    "ServiceSpec",
    "SizeSpec",
]


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """Where the Dockerfile is, relative to the root of the source tree, with `/` between names."""

    context: str = "."
    dockerfile: str = "Dockerfile"
    """Relative to the context."""
    target: str | None = None
    """The stage to build; None: the last."""
    args: Mapping[str, str] = field(default_factory=dict)
    """Of its ARG instructions."""


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
class ScaleSpec:
    """How many copies run: `min` to `max`, as the world decides; a fixed number where they are the same."""

    min: int = 1
    max: int = 1


@dataclass(frozen=True, slots=True)
class BeforeSpec:
    """What runs once with a new release, before it serves."""

    run: str
    """A shell command line."""
    timeout: float = 600.0
    """Seconds after which it is ended, and has failed."""


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """How a new release takes the place of the one that serves."""

    strategy: str = "rolling"
    """`rolling`, `blue-green`, `canary` or `recreate`."""
    steps: tuple[int, ...] = ()
    """Of a canary: the percentages of requests that the new release gets, one after the other, before all."""
    interval: float = 0.0
    """Of a canary: seconds that each step is watched."""
    keep: float = 0.0
    """Of blue-green: seconds that the release before runs on after the switch: going back is at once."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One way in from outside."""

    host: str
    """In lower case: `shop.example.com`."""
    path: str = "/"
    """The beginning of the paths that it takes, segment by segment."""
    entrypoint: str = "entrypoint"
    """The world's capability that routes it."""
    gate: str | None = None
    """The world's gate that callers have to pass; None: those of the entrypoint alone."""


@dataclass(frozen=True, slots=True)
class ResourceNeed:
    """A piece of infrastructure that a service asks for, by its slug."""

    slug: str
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    shared: str | None = None
    """The name under which several services have the same one; None: it is the service's own."""

    def name(self, service: str, key: str) -> str:
        """The resource's name in its world."""
        return self.shared or f"{service}/{key}"


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
    scale: ScaleSpec = ScaleSpec()
    env: Mapping[str, str] = field(default_factory=dict)
    """As written: with references `${resources.db.url}` and `$${` for a literal `${` (model/reference.py)."""
    image: str | None = None
    """An image that is not built from the tree."""
    resources: Mapping[str, ResourceNeed] = field(default_factory=dict)
    """By the name that the service's references have for it."""
    requires: tuple[str, ...] = ()
    """Services whose addresses it is given, as NAME_URL: no order, cycles are fine."""
    before: BeforeSpec | None = None
    rollout: RolloutSpec = RolloutSpec()
    routes: tuple[RouteSpec, ...] = ()
    schedule: str | None = None
    """Five fields of cron, in UTC: it runs then and ends, rather than staying up."""
    watch: tuple[str, ...] = ()
    """Patterns of further files (of .gitignore's kind, from the root of the tree) that it depends on."""
