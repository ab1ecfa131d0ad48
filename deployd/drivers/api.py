"""The contracts between the engine and its drivers.

Every call is level-triggered ("make it so", whatever is there now), idempotent (repeating it, also from
two workers at once or after dying anywhere inside it, ends with exactly one object) and prompt: it
returns within seconds and never waits for the outside to finish; the engine calls again. Foreign errors
leave a driver as `errors.Retryable`, `errors.Terminal` or `errors.Denied`, their cause chained.
Cancelling a call's task stops it at its next await; a later call puts right what it left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable
from uuid import UUID

from deployd.model.reason import Reason
from deployd.model.spec import RouteSpec, ServiceSpec
from deployd.model.state import Health
from deployd.model.world import Gate

__all__ = [
    "Builds",
    "Deployer",
    "Done",
    "DriverContext",
    "Endpoint",
    "Failed",
    "InstanceStatus",
    "LogLine",
    "LogPage",
    "Logs",
    "Observation",
    "Plan",
    "Progress",
    "Provisioner",
    "ReleaseSpec",
    "ResourceSpec",
    "Routed",
    "Router",
    "ServiceRef",
    "Supports",
    "Suspends",
    "Target",
    "TaskSpec",
    "Tasks",
    "Wait",
    "Watch",
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


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there of one service, of all its releases. Nothing there is no error: no instances."""

    instances: tuple[InstanceStatus, ...] = ()

    def of(self, release_id: UUID) -> InstanceStatus | None:
        """The instance of this release, or None where there is none."""
        return next((one for one in self.instances if one.release_id == release_id), None)


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


@runtime_checkable
class Deployer(Protocol):
    """Makes services run."""

    supports: Supports

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        """What `apply` would do, and whatever can be known to be wrong; changes nothing."""
        ...

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        """Make the release run. Beside others of the service; when `alone`, end those first to last.

        Done means started, not healthy: that is for `observe` to say. Done with `alone` means that
        nothing else of the service runs any more.
        """
        ...

    async def observe(self, service: ServiceRef) -> Observation:
        """What is there, with its health looked at now."""
        ...

    async def destroy(self, service: ServiceRef, release_id: UUID | None = None) -> Progress:
        """End what runs of this release, or of all. Missing is Done. What it logged is kept."""
        ...


@runtime_checkable
class Provisioner(Protocol):
    """Makes infrastructure exist."""

    async def apply(self, resource: ResourceSpec) -> Progress:
        """Make it exist like this; Done brings its outputs. Looks it up by its tag before creating."""
        ...

    async def observe(self, resource: ResourceSpec) -> Health:
        """How it does; `Missing` where it is not."""
        ...

    async def destroy(self, resource: ResourceSpec) -> Progress:
        """Make it not exist. Missing is Done."""
        ...


@runtime_checkable
class Router(Protocol):
    """Gives services addresses that stay while their releases change."""

    drain_seconds: float
    """How long a release that is not routed to any more is kept for the requests that it works on."""

    async def reserve(self, service: ServiceRef, scheme: str) -> Endpoint:
        """Its address within its world, known before anything of it runs; the same whenever it is asked for.

        `scheme`: `http`, or `tcp` for a service that talks something else. While the service is not routed,
        callers are told so there, in plain words where it talks HTTP.
        """
        ...

    async def plan(
        self, service: ServiceRef, routes: Sequence[RouteSpec], gates: Mapping[str, Gate]
    ) -> tuple[Reason, ...]:
        """What stands against these routes, such as another service that has one; changes nothing."""

    async def route(
        self,
        service: ServiceRef,
        targets: Sequence[Target],
        *,
        routes: Sequence[RouteSpec] = (),
        gates: Mapping[str, Gate] | None = None,
    ) -> Routed:
        """Requests go to these targets from now on: once this has returned, no new one goes elsewhere.

        `gates` are the world's, by name. A route that another service has stays there, as the note says; an
        address that cannot be led to leaves the service without a public one. Raises InputError for a gate
        that the world does not have.
        """
        ...

    async def unroute(self, service: ServiceRef, why: str | None = None, *, soon: bool = False) -> Routed:
        """Requests go nowhere; `why` is what callers are told after the service's name: `is suspended`.

        `soon`: they are told to ask again in a moment. Without a reason the service is forgotten, its
        address within the world too. Missing is done. The answer says how many are under way still.
        """
        ...


@runtime_checkable
class Tasks(Protocol):
    """A deployer that runs commands once."""

    async def run_task(self, service: ServiceRef, release: ReleaseSpec, task: TaskSpec) -> Progress:
        """Have it run, once for each `task_id`: Done after exit status 0, Failed after any other end.

        Called again it tells how it does; it starts again only what a crash of the host has ended.
        """
        ...

    async def end_task(self, service: ServiceRef, task_id: UUID) -> Progress:
        """End it if it runs. Missing is Done."""
        ...


@runtime_checkable
class Builds(Protocol):
    """A deployer that makes something of a release's files before it can run."""

    async def build(self, service: ServiceRef, release: ReleaseSpec) -> Progress:
        """Make it. Wait says in its note how far it is; what was made for another release is used again."""
        ...


@runtime_checkable
class Suspends(Protocol):
    """A provisioner that can stop what runs for a resource, and keep its data."""

    async def suspend(self, resource: ResourceSpec) -> Progress:
        """Nothing of it runs, unless others of its kind need that; `apply` brings it back as it was."""
        ...


@runtime_checkable
class Watch(Protocol):
    """A driver that notices changes by itself."""

    def watch(self) -> AsyncIterator[tuple[int, UUID]]:
        """(world_id, service_id) of services in which something changed: a hint, may be lost or repeated."""
        ...


@runtime_checkable
class Logs(Protocol):
    """A driver that keeps what its services write."""

    async def read_logs(self, service: ServiceRef, after: str | None, limit: int) -> LogPage:
        """At most `limit` lines behind the cursor (None: the last `limit` lines). None twice, none left out.

        What was rotated away behind the cursor is told by one line of the stream `deployd`. Raises
        InputError for a cursor that is not one.
        """
        ...
