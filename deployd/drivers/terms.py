"""What the engine and its drivers tell each other: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from deployd.model.reason import Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import Health

__all__ = [
    "Done",
    "DriverContext",
    "Endpoint",
    "Failed",
    "InstanceStatus",
    "LogLine",
    "LogPage",
    "Observation",
    "Plan",
    "Progress",
    "ReleaseSpec",
    "ResourceSpec",
    "Routed",
    "ServiceRef",
    "Supports",
    "Target",
    "TaskSpec",
    "Wait",
]


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What deployd gives every driver at birth."""

    home: Path
    """A folder of the driver's own on this host; it may not exist yet."""
    placement: str
    """The name of this host, for work that is bound to it."""


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """Which service. Names and tags of whatever a driver creates derive from the ids."""

    world_id: int
    world: str
    service_id: UUID
    service: str


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """What shall run: immutable, the same on every call with the same `release_id`."""

    release_id: UUID
    number: int
    """Counts up within the service: 1, 2, …; for people and environment variables."""
    spec: ServiceSpec
    tree: Path | None = None
    """The source tree, read only, for drivers that run trees."""
    image: str | None = None
    """The image with its digest, for drivers that run images."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The service's environment, references resolved. In a plan, variables may be missing."""
    secrets: frozenset[str] = frozenset()
    """Those of its variables whose values are secret: never written to a disk, a log, a command line."""
    missing: Reason | None = None
    """Why its environment is incomplete: it must not be started then; what runs already goes on."""
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secret values that are in those variables, by their names: `[secret NAME]` is shown in their place."""
    copies: int = 1
    """How many instances of it run: the one thing that may change from call to call."""


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """Which resource, and what it shall be like."""

    world_id: int
    world: str
    resource_id: UUID
    name: str
    type: str
    settings: Mapping[str, object] = field(default_factory=dict)
    """The definition's settings with the developer's parameters."""
    password: str = ""
    """Generated once for this resource, for whatever in it needs one."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A command that runs once and ends, as its service would: same files, same environment, same user."""

    task_id: UUID
    name: str
    """For people, and in logs: `before`, `schedule`."""
    command: str | None
    """A shell command line; None: the release's own command."""
    timeout: float
    """Seconds after which it is ended, and has failed."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests may go."""

    address: str
    """A URL."""
    weight: int = 100
    """Its part of the requests, in relation to the sum of all weights."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address within a world that stays, whatever the release."""

    host: str
    port: int
    scheme: str = "http"
    """`http` or `tcp`."""

    @property
    def url(self) -> str:
        """As programs are given it."""
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Done:
    """It is so. `outputs` are what others may refer to."""

    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """Under way: ask again after so many seconds, or earlier when `watch` hints."""

    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It will not become so by waiting."""

    reason: Reason


Progress = Done | Wait | Failed


@dataclass(frozen=True, slots=True)
class Supports:
    """What planning has to know, so that it can refuse."""

    runs: str
    """`tree` or `image`: what a release has to bring."""
    http: bool = True
    tcp: bool = True
    max_scale: int = 1
    rollouts: frozenset[str] = frozenset({"rolling"})
    tasks: bool = False
    """It runs commands once (`before`, `schedule`): it is a Tasks too."""
    bound_to_host: bool = False
    """Only workers of the placement where it runs can act for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do. A plan with refusals is never applied."""

    actions: tuple[str, ...] = ()
    """For people, one line each: "start process `python3 server.py`"."""
    refusals: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    """What this driver does otherwise than another would, without harm."""


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One running copy of a release, as it was seen."""

    instance: str
    release_id: UUID
    health: Health
    address: str | None = None
    """Where it answers, as a URL: `http://127.0.0.1:24017`, `tcp://…`."""
    pid: int | None = None
    started_at: datetime | None = None
    restarts: int = 0
    """Since the release was started, by itself after an exit."""
    reason: Reason | None = None


_WORSE = (
    Health.HEALTHY,
    Health.SUSPENDED,
    Health.PROGRESSING,
    Health.UNKNOWN,
    Health.MISSING,
    Health.DEGRADED,
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there of one service, of all its releases. Nothing there is no error: no instances."""

    instances: tuple[InstanceStatus, ...] = ()

    def of(self, release_id: UUID) -> InstanceStatus | None:
        """The instance of this release, of several the one that does worst, or None where there is none."""
        return max(self.copies(release_id), key=lambda one: _WORSE.index(one.health), default=None)

    def copies(self, release_id: UUID) -> tuple[InstanceStatus, ...]:
        """All of this release."""
        return tuple(one for one in self.instances if one.release_id == release_id)


@dataclass(frozen=True, slots=True)
class Routed:
    """How a service can be reached by a name of its own."""

    url: str | None = None
    """Its public address; None where it has none, which `note` explains if anybody should know."""
    draining: int = 0
    """Requests still under way to where it was routed before; 0 once they have had `drain_seconds`."""
    note: str = ""
    urls: tuple[str, ...] = ()
    """All its public addresses: that one, and its routes."""
    endpoint: Endpoint | None = None
    """Its address within its world."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a service wrote."""

    at: datetime
    stream: str
    """`stdout`, `stderr`, or `deployd` for what the supervisor says of it (started, exited)."""
    instance: str
    text: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines after a cursor, oldest first. `cursor` opaque; the next page begins behind it."""

    lines: tuple[LogLine, ...]
    cursor: str
