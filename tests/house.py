"""A small deployd without its web: engine, store and stand-in drivers, for tests of the engine."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from deployd.drivers.api import DriverContext
from deployd.drivers.registry import create
from deployd.engine.acts import ACTS, ANSWERS
from deployd.engine.birth import birth
from deployd.engine.bus import Bus
from deployd.engine.committer import Committer
from deployd.engine.context import Context, Driver
from deployd.engine.operations import Operations
from deployd.engine.outcome import Acts
from deployd.engine.recording import Moved
from deployd.engine.worker import Worker
from deployd.errors import Unsupported
from deployd.machines import RUNNERS
from deployd.model.actor import Actor, Role
from deployd.model.facts import ChangeFacts, DeploymentFacts, ServiceFacts, Source
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine, Transition
from deployd.model.spec import HealthSpec, RolloutSpec, RouteSpec, ServiceSpec
from deployd.model.state import MachineKind
from deployd.sources.trees import Trees
from deployd.store import machines, transitions, worlds
from deployd.store.database import Database
from deployd.store.vault import Vault
from tests.standin import Folder, StandinDeployer, StandinProvisioner, StandinRouter

ADA = Actor("person:ada", Role.ADMIN)
KEY = b"k" * 32
EPOCH = "1970-01-01T00:00:00+00:00"


@dataclass
class House:
    """What a test looks at."""

    db: Database
    home: Path
    folder: Folder
    committer: Committer
    operations: Operations
    bus: Bus
    world_id: int
    world: str
    context: Context
    provisioner: StandinProvisioner
    kind = MachineKind
    patience: int = 60
    """Seconds that what is deployed has to become healthy; what never does ends then."""

    def source(self, **services: str) -> str:
        """A working directory with a manifest of these services, each with its `run:`."""
        path = self.home / "source"
        path.mkdir(exist_ok=True)
        lines = ["deployd: 1", "services:"]
        for name, run in services.items():
            lines += [f"  {name}:", f"    run: {run}", "    port: 80"]
            lines += [f"    health: {{path: /, timeout: {self.patience}s}}"]
        put(path / "deployd.yaml", "\n".join(lines) + "\n")
        return str(path)

    async def deploy(self, key: str | None = None, **services: str) -> Machine:
        return await self.operations.deploy(ADA, self.world, self.source(**services), key=key)

    async def roll_out(
        self, name: str, run: str, rollout: RolloutSpec, key: str = "1", *, routes: tuple[RouteSpec, ...] = ()
    ) -> Machine:
        """A deployment of its own, in any way; one of the same key is the same one."""
        found = await machines.get_named(self.db, self.world_id, MachineKind.SERVICE, name)
        place = await worlds.get(self.db, self.world)  # its id is the same in every test's database
        assert place is not None
        service_id = derived_id(place.uid, "service", name) if found is None else found.id
        folder = self.source(**{name: run})
        tree = await Trees(self.home / "sources").snapshot(Path(folder))
        spec = ServiceSpec(
            name,
            run=run,
            ports={"http": 80},
            health=HealthSpec("/", self.patience),
            rollout=rollout,
            routes=routes,
        )
        facts = DeploymentFacts(
            service=name,
            requested_at=datetime.now(UTC),
            requested_by=ADA.name,
            spec=spec,
            source=Source(folder, tree),
        )
        made = birth(
            self.world_id,
            derived_id(service_id, "rollout", key),
            facts,
            ADA.name,
            service_id=service_id,
            placement="here",
        )
        service = birth(
            self.world_id,
            service_id,
            ServiceFacts(name),
            ADA.name,
            name=name,
            service_id=service_id,
            placement="here",
        )
        await self.committer.store(births=(service, made))
        return await self.get(made.id)

    async def get(self, machine_id: UUID) -> Machine:
        found = await machines.get(self.db, self.world_id, machine_id)
        assert found is not None
        return found

    async def service(self, name: str) -> Machine:
        return await self.operations.service(ADA, self.world, name)

    async def facts(self, name: str) -> ServiceFacts:
        facts = (await self.service(name)).facts
        assert isinstance(facts, ServiceFacts)
        return facts

    async def until(self, machine_id: UUID, *states: str, seconds: float = 20) -> Machine:
        """Wait until the machine is in one of the states."""
        give_up = time.monotonic() + seconds
        while True:
            machine = await machines.get(self.db, self.world_id, machine_id)
            if machine is not None and machine.state in states:
                return machine
            ended = machine is not None and RUNNERS[machine.kind].states[machine.state].final
            if ended or time.monotonic() > give_up:
                history = [f"{t.kind} {t.from_state}→{t.to_state} {t.trigger}" for t in await self.history()]
                raise AssertionError(f"it is {machine and machine.state}: {machine}\n" + "\n".join(history))
            await asyncio.sleep(0.01)

    async def deployments(self, change_id: UUID) -> list[Machine]:
        facts = (await self.get(change_id)).facts
        assert isinstance(facts, ChangeFacts)
        return await machines.list_many(self.db, self.world_id, facts.deployments)

    async def history(self) -> list[Transition]:
        return await transitions.read(self.db, self.world_id, 0, datetime.fromisoformat(EPOCH), 100_000)

    async def path(self, machine_id: UUID) -> list[str]:
        """The states that a machine went through."""
        return [one.to_state for one in await self.history() if one.machine_id == machine_id]

    def running(self, service_id: UUID) -> list[str]:
        return self.folder.of(service_id)

    async def check_whole(self) -> None:
        """What must hold at rest: seq without a gap, no lease, no mail, each chain of states unbroken."""
        history, states = await self._at_one_moment()
        assert [one.seq for one in history] == list(range(1, len(history) + 1))
        assert all(a.at <= b.at for a, b in itertools.pairwise(history))
        last: dict[UUID, str] = {}
        for one in history:
            assert last.get(one.machine_id) == one.from_state
            last[one.machine_id] = one.to_state
        assert last == {machine_id: states[machine_id] for machine_id in last}

    async def _at_one_moment(self) -> tuple[list[Transition], dict[UUID, str]]:
        """All transitions, and the states that they led to: nothing moved between the two reads."""
        while True:
            history = await self.history()
            rows = await self.db.pool.fetch(
                "select id, state from machines where world_id = $1", self.world_id
            )
            if len(await self.history()) == len(history):
                return history, {row["id"]: row["state"] for row in rows}


def put(path: Path, text: str) -> None:
    """Write a file whole at once: of what is written in place, a snapshot taken now has the first half."""
    written = path.parent.parent / f"{path.parent.name}-{path.name}"
    written.write_text(text)
    written.replace(path)


def deployment_facts(machine: Machine) -> DeploymentFacts:
    assert isinstance(machine.facts, DeploymentFacts)
    return machine.facts


def context(
    db: Database,
    home: Path,
    folder: Folder,
    placement: str = "here",
    *,
    processes: bool = False,
    provisioner: StandinProvisioner | None = None,
) -> Context:
    deployer: Driver = StandinDeployer(folder)
    if processes:
        deployer = create("deploy:process", {"grace_seconds": 2}, DriverContext(home / "driver", placement))
    made, router = provisioner or StandinProvisioner(folder), StandinRouter(folder)

    def driver(name: str, config: object) -> Driver:
        if name == "deploy:process":
            return deployer
        if name in ("provision:standin", "local/postgres"):
            return made
        if name == "route:standin":
            return router
        raise Unsupported(name)

    return Context(db, Trees(home / "sources"), placement, driver, Vault(db, KEY))


@asynccontextmanager
async def house(
    db: Database,
    home: Path,
    *,
    acts: Acts = ACTS,
    works: bool = True,
    lease: timedelta = timedelta(seconds=5),
    change: Callable[[Context], None] = lambda _: None,
    placements: Iterable[str] = ("here",),
    world: str = "local",
    processes: bool = False,
    moved: Moved | None = None,
) -> AsyncIterator[House]:
    """Everything runs while the context lasts."""
    folder = Folder(home / "outside")
    provisioner = StandinProvisioner(folder)
    ctx = context(db, home, folder, processes=processes, provisioner=provisioner)
    change(ctx)
    bus = Bus(db)
    committer = Committer(db, bus.committed, moved)
    local = await worlds.get(db, world)
    assert local is not None
    operations = Operations(db, committer, "here")
    async with bus.running():
        task = asyncio.create_task(committer.run())
        try:
            home_ = House(
                db, home, folder, committer, operations, bus, local.world_id, world, ctx, provisioner
            )
            if works:
                async with Worker(
                    ctx, committer, bus, acts, ANSWERS, placements=list(placements), lease=lease
                ):
                    yield home_
            else:
                yield home_
        finally:
            committer.stop()
            await task


__all__ = ["ADA", "House", "MachineKind", "context", "deployment_facts", "house", "put"]
