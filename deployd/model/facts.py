"""What a machine knows besides its state: one frozen dataclass for each kind.

Facts are written only with a committed outcome of their machine, whole; never a secret's value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from deployd.model.hold import Hold
from deployd.model.plan import PlanItem
from deployd.model.reason import Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import Health, MachineKind, Ownership

__all__ = [
    "FACTS",
    "ChangeFacts",
    "DeploymentFacts",
    "Facts",
    "ResourceFacts",
    "Run",
    "ServiceFacts",
    "Source",
    "Turn",
]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a release's files come from: a directory, a repository or an upload, one of the three."""

    directory: str | None = None
    """A working directory on the host named by the machine's placement; absolute."""
    tree: str | None = None
    """The git tree id of its snapshot, once that is taken; everything later reads only this."""
    repository: str | None = None
    """The address of a git repository; never with a password in it."""
    ref: str | None = None
    """The branch, tag or commit that was asked for; None: the repository's default branch."""
    commit: str | None = None
    """The commit that `ref` was when its tree was taken."""
    upload: UUID | None = None
    """An archive that somebody uploaded to the machine's world."""
    base: str | None = None
    """The tree that the upload's files replace and add to; None: they are all there is."""
    removed: tuple[str, ...] = ()
    """Paths of the base that are gone."""

    @property
    def shown(self) -> str:
        """What people know it as."""
        if self.repository is not None:
            return f"{self.repository} at {self.ref or 'its default branch'}"
        return self.directory or "the upload"


@dataclass(frozen=True, slots=True)
class Turn:
    """A deployment that has, or waits for, a service's turn."""

    deployment_id: UUID
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a service that has a schedule."""

    task_id: UUID
    release_id: UUID
    at: datetime
    """When it began."""
    cancelled_by: str | None = None
    """Who wants it ended."""
    ended_at: datetime | None = None
    reason: Reason | None = None
    """How it ended: RUN_SUCCEEDED, RUN_CANCELLED, or why it failed."""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A service: what it serves, what it should, how it does."""

    name: str
    capability: str = "main"
    current: Turn | None = None
    """The deployment that works at it now."""
    next: Turn | None = None
    """The newest deployment that waits."""
    serving: UUID | None = None
    """The release it serves."""
    resources: tuple[UUID, ...] = ()
    """Those that the release it serves needs."""
    previous: UUID | None = None
    """The release it served before: where `rollback` leads when no other is named."""
    kept: UUID | None = None
    """A release that runs on beside the one it serves, so that going back is at once …"""
    kept_until: datetime | None = None
    """… until then."""
    wish: str | None = None
    """`suspend` or `retire`, asked for while a deployment worked; done when that ends."""
    suspended: bool = False
    """Somebody suspended it, and nobody has resumed it or deployed since."""
    health: Health = Health.UNKNOWN
    address: str | None = None
    """Where its release answers."""
    url: str | None = None
    """Where it is reached whatever its release, where its world gives it such an address."""
    urls: tuple[str, ...] = ()
    """All of these: that one, and those of its routes."""
    pid: int | None = None
    restarts: int = 0
    reason: Reason | None = None
    schedule: str | None = None
    """When the release that it serves runs, where it does not stay up: five fields of cron, in UTC."""
    next_run_at: datetime | None = None
    """Due times up to this one are done with; None: not known yet, or it is stopped."""
    run: Run | None = None
    """Under way, or about to be."""
    last_run: Run | None = None
    running: int = 0
    """Copies of what it serves that were there at the last look."""
    holds: tuple[Hold, ...] = ()
    """What must not be deployed to it."""
    copies: int | None = None
    """How many somebody wants of it; counts where the manifest of what it serves allows that number."""


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """One attempt."""

    service: str
    requested_at: datetime
    requested_by: str
    spec: ServiceSpec
    source: Source
    capability: str = "main"
    purpose: str = "deploy"
    """`deploy`, `rollback` or `retry`."""
    automatic: bool = False
    """A trigger asked for it, not a person: it never replaces something newer of the same branch."""
    fingerprint: str = ""
    """Of everything that the service is made of (see Release)."""
    resources: tuple[UUID, ...] = ()
    """Those that its release needs, once they are asked for."""
    asked: tuple[UUID, ...] = ()
    """Those of them that it asked to try again after they had failed: once each."""
    release_id: UUID | None = None
    """Known from the start when it goes back to a release; else its own, once built."""
    restores: UUID | None = None
    """The release that served when this attempt got its turn: what a failure goes back to."""
    touched: bool = False
    """From here on something of it may run, and has to be undone when it comes to nothing."""
    actions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    plan_hash: str | None = None
    """What an approval holds for."""
    approved_hash: str | None = None
    """The plan that somebody approved."""
    replaces: tuple[str, ...] = ()
    """Resources that its plan says are replaced, their data lost; no others may be."""
    approved_by: str | None = None
    healthy_by: datetime | None = None
    """Until when its release has to be healthy, where the deadline leaves time for more than that."""
    step: int | None = None
    """Of a canary: which of its steps, from 0; their number once it is through all; None before the first."""
    since: datetime | None = None
    """When that step began."""
    restarts: int = 0
    """Of its release, when the canary began."""
    kept_until: datetime | None = None
    """Until when the release that it replaced is kept running, where it is."""
    ran_before_at: datetime | None = None
    """When its `before` began, if it did: no rollback undoes that."""
    address: str | None = None
    url: str | None = None
    urls: tuple[str, ...] = ()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """One request."""

    source: Source
    digest: str
    """Of the request, so that one idempotency key cannot stand for two requests."""
    requested_by: str
    services: tuple[str, ...] = ()
    """Those asked for, affected or not; none: those of the manifest that are affected."""
    purpose: str = "deploy"
    """`deploy`; or `retire`: its world ends."""
    everything: bool = False
    """All services of the manifest, affected or not."""
    automatic: bool = False
    """A trigger asked for it, not a person."""
    dry_run: bool = False
    """It plans, and does nothing."""
    unaffected: tuple[str, ...] = ()
    """Services that serve already what this would deploy, or something newer."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Of each service that it deploys (see Release)."""
    deployments: tuple[UUID, ...] = ()
    deleted: tuple[UUID, ...] = ()
    """Resources that it asked to end, with their world."""
    plan: tuple[str, ...] = ()
    """What it will do, for people, one line each."""
    items: tuple[PlanItem, ...] = ()
    """The same for programs: every service, resource and route of its manifest, and what becomes of it."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of each service's plan."""
    plan_hash: str | None = None
    """Of all of them: what an approval holds for."""
    approved_by: str | None = None
    traceparent: str | None = None
    """Of the request that asked for it, where traces are made (W3C Trace Context)."""
    cancelled: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """A piece of infrastructure."""

    name: str
    type: str
    capability: str
    settings: Mapping[str, object] = field(default_factory=dict)
    slug: str = ""
    """By which it was asked for."""
    users: tuple[UUID, ...] = ()
    """The services that have it."""
    standing: bool = False
    """Somebody made or adopted it by hand: it stands by itself, and its parameters are that one's."""
    suspended: bool = False
    """Whatever runs for it is stopped, its data is kept: nobody who has it runs."""
    unwell_since: datetime | None = None
    """Since when it has not been well, while it should be."""
    ownership: Ownership = Ownership.MANAGED
    outputs: tuple[str, ...] = ()
    """Their names."""
    health: Health = Health.UNKNOWN
    reason: Reason | None = None


Facts = ServiceFacts | DeploymentFacts | ChangeFacts | ResourceFacts

FACTS: dict[MachineKind, type[Facts]] = {
    MachineKind.SERVICE: ServiceFacts,
    MachineKind.DEPLOYMENT: DeploymentFacts,
    MachineKind.CHANGE: ChangeFacts,
    MachineKind.RESOURCE: ResourceFacts,
}
