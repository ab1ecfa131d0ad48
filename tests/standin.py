"""A deployer and a provisioner whose outside is a folder, so that it survives whoever is killed.

Each instance is a file, each making and removal a line in a journal: what exists, and how often it was made,
can be counted afterwards by another process. The line is written first: whoever is killed between the two
leaves a line that the next one repeats, and `journal` tells both as one; the other way round there would be
an instance that nobody ever made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from deployd.drivers.api import (
    Done,
    Endpoint,
    Failed,
    InstanceStatus,
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
from deployd.errors import Retryable
from deployd.model.reason import Reason
from deployd.model.spec import RouteSpec
from deployd.model.state import Health
from deployd.model.world import Gate


class Folder:
    """The outside world."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def note(self, line: str) -> None:
        with (self.root / "journal").open("a") as file:
            file.write(line + "\n")

    def journal(self) -> list[str]:
        """What was noted, in order; of making and removing only what changed what there is."""
        path = self.root / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        told, last = [], dict[str, str]()
        for line in lines:
            what, _, instance = line.partition(" ")
            if what in ("made", "removed"):
                if last.get(instance) == what:
                    continue
                last[instance] = what
            told.append(line)
        return told

    def mark(self, what: str) -> None:
        (self.root / f"mark-{what}").touch()

    def is_marked(self, what: str) -> bool:
        return (self.root / f"mark-{what}").exists()

    def make(self, owner: UUID, name: object) -> None:
        path = self.root / str(owner) / str(name)
        if path.exists():
            return
        self.note(f"made {owner} {name}")
        path.parent.mkdir(exist_ok=True)
        path.touch()  # "already exists" is a lookup, never a failure

    def remove(self, owner: UUID, name: object) -> None:
        path = self.root / str(owner) / str(name)
        if path.exists():
            self.note(f"removed {owner} {name}")
            path.unlink(missing_ok=True)

    def of(self, owner: UUID) -> list[str]:
        folder = self.root / str(owner)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


class StandinDeployer:
    """Behaves as its releases' `run:` says: `ok`, `slow`, `broken`, `sick`, `flaky`, `hang`, `moody`, and
    `wilting`: well until the folder is marked `ill`, or `restarted`.

    A task as its command does: `ok`, `broken` (until the file `mended` is there), `slow` (until `go` is).
    """

    supports = Supports(
        runs="tree",
        rollouts=frozenset({"rolling", "blue-green", "canary", "recreate"}),
        bound_to_host=True,
        tasks=True,
        max_scale=5,
    )

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.flaked: dict[UUID, int] = {}
        self.behaviour: dict[UUID, str] = {}
        self.addresses = False

    def address(self, release_id: str) -> str:
        """One for all, unless a test wants to tell them apart."""
        return f"http://{release_id}" if self.addresses else "http://x"

    async def _breathe(self) -> None:
        """A network's turn: somewhere to die, and somewhere to be interrupted."""
        await asyncio.sleep(0)

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        await self._breathe()
        if release.spec.run == "refused":
            reason = Reason("NOT_HERE", f"{service.service} cannot run here", remedy="Write another `run:`.")
            return Plan(refusals=(reason,))
        if release.spec.run == "moody":
            return Plan(actions=(f"start at {time.monotonic()}",))
        return Plan(actions=(f"start {release.spec.run}",))

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        await self._breathe()
        how = self.behaviour[release.release_id] = release.spec.run or "ok"
        if how == "hang":
            await asyncio.Event().wait()
        if how == "flaky" and self.flaked.setdefault(release.release_id, 0) < 2:
            self.flaked[release.release_id] += 1
            raise Retryable("the network was busy")
        if how == "broken":
            return Failed(Reason("BROKEN", f"{service.service} does not start", evidence="exit status 3"))
        copies = [f"{release.release_id}.{how}"]
        copies += [f"{copies[0]}.{number}" for number in range(2, release.copies + 1)]
        for name in copies:
            self.folder.make(service.service_id, name)
            await self._breathe()
        for name in self.folder.of(service.service_id):
            if name.startswith(copies[0]) and name not in copies:
                self.folder.remove(service.service_id, name)
                await self._breathe()
        if alone:
            for name in self.folder.of(service.service_id):
                if name.partition(".")[0] != str(release.release_id):
                    self.folder.remove(service.service_id, name)
        await self._breathe()
        return Done()

    async def observe(self, service: ServiceRef) -> Observation:
        await self._breathe()
        found = []
        for name in self.folder.of(service.service_id):
            release_id, how, *_ = name.split(".")
            if how == "wilting" and self.folder.is_marked("ill"):
                how = "sick"
            restarts = int(how == "wilting" and self.folder.is_marked("restarted"))
            health = {"sick": Health.DEGRADED, "slow": Health.PROGRESSING}.get(how, Health.HEALTHY)
            reason = Reason("SICK", "it is sick", evidence="cough") if how == "sick" else None
            found.append(
                InstanceStatus(
                    name,
                    UUID(release_id),
                    health,
                    address=self.address(release_id),
                    pid=1,
                    restarts=restarts,
                    reason=reason,
                )
            )
        return Observation(tuple(found))

    async def destroy(self, service: ServiceRef, release_id: UUID | None = None) -> Progress:
        await self._breathe()
        for name in self.folder.of(service.service_id):
            if release_id is None or name.partition(".")[0] == str(release_id):
                self.folder.remove(service.service_id, name)
                await self._breathe()
        return Done()

    async def run_task(self, service: ServiceRef, release: ReleaseSpec, task: TaskSpec) -> Progress:
        await self._breathe()
        self.folder.make(task.task_id, "task")
        await self._breathe()
        how = task.command or release.spec.run
        if "ended" in self.folder.of(task.task_id):
            return Failed(Reason("TASK_ENDED", f"{task.name} was ended"))
        if how == "broken" and not (self.folder.root / "mended").exists():
            return Failed(Reason("TASK_FAILED", f"{task.name} exited with code 3", evidence="no table"))
        if how == "slow" and not (self.folder.root / "go").exists():
            return Wait(0.02, f"{task.name} runs")
        return Done()

    async def end_task(self, service: ServiceRef, task_id: UUID) -> Progress:
        await self._breathe()
        if self.folder.of(task_id):
            self.folder.make(task_id, "ended")
        await self._breathe()
        return Done()


class StandinRouter:
    """Notes where it leads; `draining` are requests that a test has under way to where it led before."""

    drain_seconds = 10.0

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.draining = 0
        self.failing = False
        self.refusing: tuple[Reason, ...] = ()
        self.to: dict[UUID, str] = {}

    async def reserve(self, service: ServiceRef, scheme: str) -> Endpoint:
        await asyncio.sleep(0)
        return Endpoint(f"{service.service}.inside", 80, scheme)

    async def plan(
        self, service: ServiceRef, routes: Sequence[RouteSpec], gates: Mapping[str, Gate]
    ) -> tuple[Reason, ...]:
        await asyncio.sleep(0)
        return self.refusing

    async def route(
        self,
        service: ServiceRef,
        targets: Sequence[Target],
        *,
        routes: Sequence[RouteSpec] = (),
        gates: Mapping[str, Gate] | None = None,
    ) -> Routed:
        await asyncio.sleep(0)
        if self.failing:
            raise Retryable("the router is busy")
        total = sum(one.weight for one in targets)
        parts = [f"{one.address}={one.weight * 100 // total}" for one in targets]
        to = parts[0].removesuffix("=100") if len(parts) == 1 else " ".join(parts)
        if self.to.get(service.service_id) != to:
            self.to[service.service_id] = to
            self.folder.note(f"routed {to}")
        return Routed(
            f"http://{service.service}.test", self.draining, endpoint=await self.reserve(service, "http")
        )

    async def unroute(self, service: ServiceRef, why: str | None = None, *, soon: bool = False) -> Routed:
        await asyncio.sleep(0)
        if self.to.get(service.service_id) != f"nowhere: {why}":
            if service.service_id in self.to:
                self.folder.note(f"unrouted: {why}")
            self.to[service.service_id] = f"nowhere: {why}"
        return Routed(draining=self.draining if soon else 0)


class StandinProvisioner:
    """Takes two calls to make something, as a cloud would."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.broken = False
        self.replacing: frozenset[str] = frozenset()
        """Settings that it cannot change in place."""

    async def apply(self, resource: ResourceSpec) -> Progress:
        await asyncio.sleep(0)
        if self.broken or resource.settings.get("broken"):
            return Failed(Reason("QUOTA", f"{resource.name}: the quota is used up"))
        if "begun" not in self.folder.of(resource.resource_id):
            self.folder.make(resource.resource_id, "begun")
            await asyncio.sleep(0)
            return Wait(0.01)
        self.folder.make(resource.resource_id, "object")
        await asyncio.sleep(0)
        if "asleep" in self.folder.of(resource.resource_id):
            self.folder.note(f"woke {resource.resource_id}")
            self.folder.remove(resource.resource_id, "asleep")
        return Done({"url": "x://y"})

    async def replaced_by(self, resource: ResourceSpec, settings: Mapping[str, object]) -> tuple[str, ...]:
        await asyncio.sleep(0)
        differ = {name for name, value in settings.items() if resource.settings.get(name) != value}
        return tuple(sorted(differ & self.replacing))

    async def suspend(self, resource: ResourceSpec) -> Progress:
        await asyncio.sleep(0)
        self.folder.make(resource.resource_id, "asleep")
        return Done()

    async def observe(self, resource: ResourceSpec) -> Health:
        await asyncio.sleep(0)
        return Health.HEALTHY if "object" in self.folder.of(resource.resource_id) else Health.MISSING

    async def destroy(self, resource: ResourceSpec) -> Progress:
        await asyncio.sleep(0)
        for name in self.folder.of(resource.resource_id):
            self.folder.remove(resource.resource_id, name)
            await asyncio.sleep(0)
        return Done()
