"""The contracts between the engine and its drivers.

Every call is level-triggered ("make it so", whatever is there now), idempotent (repeating it, also from
two workers at once or after dying anywhere inside it, ends with exactly one object) and prompt: it
returns within seconds and never waits for the outside to finish; the engine calls again. Foreign errors
leave a driver as `errors.Retryable`, `errors.Terminal` or `errors.Denied`, their cause chained.
Cancelling a call's task stops it at its next await; a later call puts right what it left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

from deployd.drivers.terms import (
    Done,
    DriverContext,
    Endpoint,
    Failed,
    InstanceStatus,
    LogLine,
    LogPage,
    Observation,
    Plan,
    Progress,
    ReleaseSpec,
    ResourceSpec,
    Routed,
    ServiceRef,
    Supports,
    Target,
    TaskSpec,
    Wait,
)
from deployd.model.finding import Finding
from deployd.model.reason import Reason
from deployd.model.spec import RouteSpec
from deployd.model.state import Health
from deployd.model.world import Gate

__all__ = [
    "Builds",
    "Clears",
    "Deployer",
    "Done",
    "DriverContext",
    "Endpoint",
    "Examines",
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
    "Replaces",
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


@runtime_checkable
class Deployer(Protocol):
    """Makes services run."""

    supports: Supports

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        """What `apply` would do, and whatever can be known to be wrong; changes nothing."""
        ...

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        """Make the release run, in as many copies as it says.

        Beside others of the service; when `alone`, end those first to last.
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
class Replaces(Protocol):
    """A provisioner that cannot make every change in place."""

    async def replaced_by(self, resource: ResourceSpec, settings: Mapping[str, object]) -> tuple[str, ...]:
        """Which of these settings, where they differ, need another object: the data of this one is lost.

        Empty where all can be changed in place; changes nothing. What it names is applied only after
        somebody approved of it.
        """
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
class Examines(Protocol):
    """A driver that can look at what is its own on this host."""

    async def examine(self, services: Collection[UUID]) -> Sequence[Finding]:
        """What is well and what is not; makes nothing. `services`: all that have not been retired."""
        ...


@runtime_checkable
class Clears(Protocol):
    """A driver that keeps things on this host, also of services that are no more."""

    async def clear(
        self, services: Collection[UUID], age: timedelta, *, dry_run: bool = False
    ) -> Mapping[str, int]:
        """Remove what is of none of these services and was not touched for so long, and what nobody uses.

        `services`: all that have not been retired. Data that a service wrote for itself stays, and so does
        whatever runs. Answers how much went (or would), by what it is, in the plural.
        """
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
