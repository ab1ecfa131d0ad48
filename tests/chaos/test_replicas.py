"""Several replicas on one database: real processes that are stopped, continued, killed and replaced.

What must hold at every moment is read off afterwards, from what the stand-in driver recorded of its calls and
from the transitions.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from deployd.engine.birth import birth
from deployd.errors import MigrationError
from deployd.model.facts import DeploymentFacts, ServiceFacts, Source
from deployd.model.identifier import derived_id
from deployd.model.spec import HealthSpec, ServiceSpec
from deployd.model.world import Capability
from deployd.sources.trees import Trees
from deployd.store import worlds
from deployd.store.commit import Birth
from deployd.store.database import Database
from deployd.store.migrator import migrate, pending
from tests.house import ADA, House, house
from tests.nursery import Nursery

ROOT = Path(__file__).parents[2]
LEASE = 1.0
_PATH = ["create", "start", "fetched", "planned", "built", "provisioned", "released", "verified"]


@dataclass
class Call:
    """One call of the driver."""

    pid: int
    machine: UUID
    fence: int
    state: str
    begun: float
    ended: float | None = None


@dataclass
class Fleet:
    """The replicas, and the house that looks at them and does no work itself."""

    home: House
    dsn: str
    nursery: Nursery
    pids: list[int] = field(default_factory=list)
    ended_at: dict[int, float] = field(default_factory=dict)

    async def start(self, *placements: str, capacity: int = 1000, lease: float = LEASE) -> int:
        pid = await self.nursery.fork(
            dsn=self.dsn,
            home=str(self.home.home),
            placements=placements,
            lease=lease,
            capacity=capacity,
        )
        self.pids.append(pid)
        async with asyncio.timeout(20):
            while not await self.lives_or_holds(pid):
                await asyncio.sleep(0.02)
        return pid

    async def lives_or_holds(self, pid: int) -> bool:
        """Whether a worker of this process is thought to live, or any that it ever was holds a machine."""
        return bool(
            await self.home.db.pool.fetchval(
                "select exists (select from workers where pid = $1 and died_at is null)"
                " or exists (select from machines m join workers w on w.id = m.owner where w.pid = $1)",
                pid,
            )
        )

    async def until_calling(self, pid: int, count: int = 1) -> None:
        """So many calls of the driver are under way in this process."""
        async with asyncio.timeout(30):
            while sum(one.pid == pid and one.ended is None for one in self.calls()) < count:
                await asyncio.sleep(0.002)

    async def calling(self) -> int:
        """One that lives, and whose call of the driver is under way."""
        async with asyncio.timeout(30):
            while True:
                for one in self.calls():
                    if one.ended is None and one.pid not in self.ended_at:
                        return one.pid
                await asyncio.sleep(0.002)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.ended_at[pid] = time.monotonic()

    async def stop(self, pid: int) -> None:
        """In order: it lets go of everything."""
        os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(20):
            while _lives(pid):
                await asyncio.sleep(0.02)

    async def deploy(self, placements: Sequence[str | None]) -> list[UUID]:
        """A deployment of a service of its own for each."""
        folder = self.home.source(cart="ok")
        tree = await Trees(self.home.home / "sources").snapshot(Path(folder))
        births: list[Birth] = []
        ids: list[UUID] = []
        for placement in placements:
            name = f"s{len(await self.home.history())}-{len(ids)}"
            service_id = derived_id(self.home.world_id, "service", name)
            spec = ServiceSpec(name, run="ok", ports={"http": 80}, health=HealthSpec("/", 30.0))
            facts = DeploymentFacts(name, datetime.now(UTC), ADA.name, spec, Source(folder, tree))
            deployment_id = derived_id(service_id, "deployment")
            made = (
                birth(
                    *(self.home.world_id, service_id, ServiceFacts(name), ADA.name),
                    name=name,
                    service_id=service_id,
                    placement=placement,
                ),
                birth(
                    *(self.home.world_id, deployment_id, facts, ADA.name),
                    service_id=service_id,
                    placement=placement,
                ),
            )
            births += made
            ids.append(deployment_id)
        await self.home.committer.store(births=tuple(births))
        return ids

    def calls(self) -> list[Call]:
        """As they were recorded, in order; calls of a process that was killed ended with it."""
        calls: dict[tuple[int, int], Call] = {}
        path = self.home.folder.root / "calls"
        for line in path.read_text().splitlines() if path.exists() else ():
            what, pid, number, machine, fence, state, at = line.split()
            if what == "begin":
                calls[int(pid), int(number)] = Call(
                    int(pid), UUID(machine), int(fence), state, float(at), self.ended_at.get(int(pid))
                )
            else:
                calls[int(pid), int(number)].ended = float(at)
        return sorted(calls.values(), key=lambda call: call.begun)

    async def finish(self, ids: Sequence[UUID]) -> None:
        """Everything succeeds, once, and nothing was done on a lease that was lost."""
        for one in ids:
            await self.home.until(one, "succeeded", seconds=30)
        await self.home.check_whole()
        history = defaultdict(list)
        for one in await self.home.history():
            history[one.machine_id].append(one.trigger)
        assert all(history[one] == _PATH for one in ids)
        made = [line for line in self.home.folder.journal() if line.startswith("made")]
        assert len(made) == len(set(made)) == len(ids)
        self.check_fences()

    def check_fences(self) -> None:
        """No call begins for a machine under a fence once one has begun under a later fence."""
        latest: dict[UUID, int] = {}
        for call in self.calls():
            assert call.fence >= latest.get(call.machine, 0), call
            latest[call.machine] = call.fence


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery("tests.replica")
    yield made
    made.close()


@pytest.fixture
async def fleet(database: Database, dsn: str, tmp_path: Path, nursery: Nursery) -> AsyncIterator[Fleet]:
    async with house(database, tmp_path, works=False) as home:
        made = Fleet(home, dsn, nursery)
        try:
            yield made
        finally:
            for pid in made.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def limit(home: House, to: int) -> None:
    world = await worlds.get(home.db, home.world)
    assert world is not None
    assert await worlds.update(home.db, world, {"main": Capability("deploy:process", limit=to)}, {})


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_work_is_shared_by_placement(fleet: Fleet, count: int) -> None:
    pids = [await fleet.start(f"p{number}", capacity=6) for number in range(count)]
    placed = await fleet.deploy([f"p{number % count}" for number in range(8)])
    free: list[UUID] = []
    by: dict[UUID, set[int]] = defaultdict(set)
    for _ in range(5):  # one that stands still for a second comes too late for the first of them
        free += await fleet.deploy([None] * 24)
        await fleet.finish([*placed, *free])
        for call in fleet.calls():
            by[call.machine].add(call.pid)
        if set().union(*(by[one] for one in free)) == set(pids):
            break
    assert [by[one] for one in placed] == [{pids[number % count]} for number in range(8)]
    assert set().union(*(by[one] for one in free)) == set(pids)
    for pid in pids:
        await fleet.stop(pid)
    held = await fleet.home.db.pool.fetchval("select count(*) from machines where owner is not null")
    alive = await fleet.home.db.pool.fetchval("select count(*) from workers where died_at is null")
    assert (held, alive) == (0, 0)


async def test_stopped_past_its_lease_continued_and_killed(fleet: Fleet) -> None:
    first, second, *_ = [await fleet.start("here", f"p{number}", capacity=10) for number in range(4)]
    ids: list[UUID] = []
    resumed: dict[int, float] = {}
    for pid in (first, second):
        ids += await fleet.deploy([None] * 60)  # more than all of them can hold
        await fleet.until_calling(pid, 4)
        os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        async with asyncio.timeout(30):
            while await fleet.lives_or_holds(pid):
                await asyncio.sleep(0.01)
        # Silent for a lease, seen at most half a lease later; the rest is for a busy machine.
        assert time.monotonic() - begun < LEASE * 1.5 + 10
        resumed[pid] = time.monotonic()
        os.kill(pid, signal.SIGCONT)
    fleet.kill(first)
    await fleet.start("here", capacity=10)
    await fleet.finish([*ids, *await fleet.deploy([None, "p1"] * 4)])

    # What they began before the pause they did not go on with after it.
    calls = fleet.calls()
    for pid, at in resumed.items():
        before = {(one.machine, one.fence) for one in calls if one.pid == pid and one.begun < at}
        after = {(one.machine, one.fence) for one in calls if one.pid == pid and one.begun >= at}
        assert before
        assert not before & after
    assert any(one.pid == second and one.begun > resumed[second] for one in calls)  # it works again


async def test_a_limit_holds_over_replicas_that_are_killed(fleet: Fleet) -> None:
    await limit(fleet.home, 3)
    for _ in range(4):
        # Longer than a replica stands still on a busy host: the call that it was at would be one too many.
        await fleet.start("here", lease=4 * LEASE)
    ids = await fleet.deploy([None] * 24)
    for _ in range(2):
        fleet.kill(await fleet.calling())
        await asyncio.sleep(0.3)
    await fleet.finish(ids)
    assert at_once(fleet.calls()) == 3


def at_once(calls: Sequence[Call]) -> int:
    """For how many machines there were calls under way at the same moment, at most."""
    events = sorted(
        itertools.chain.from_iterable(
            ((one.begun, 1, one.machine), (one.ended or time.monotonic(), 0, one.machine)) for one in calls
        )
    )
    under_way: set[UUID] = set()
    most = 0
    for _, begins, machine in events:
        (under_way.add if begins else under_way.discard)(machine)
        most = max(most, len(under_way))
    return most


_MORE = """
alter table machines drop constraint machines_state;
alter table machines add column more text not null default 'more';
alter table workers add column more text;
alter table mailbox add column more text;
create index machines_more on machines (world_id, more, created_at);
"""


async def test_a_rolling_upgrade_with_a_migration_in_between(fleet: Fleet, tmp_path: Path) -> None:
    """The old replica goes on with the newer schema; what it does not understand it leaves to others."""
    home = fleet.home
    old = await fleet.start("here", capacity=6, lease=5 * LEASE)
    ids = await fleet.deploy([None] * 30)
    await home.until(ids[0], "verifying", "succeeded")

    migrations = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", migrations)
    number = len(list(migrations.glob("*.sql"))) + 1
    (migrations / f"{number:04}_more.sql").write_text(_MORE)
    assert await migrate(fleet.dsn, migrations) == (f"{number:04}_more.sql",)
    strange = [await _strange(home, "pipeline", "running"), await _strange(home, "deployment", "baking")]
    ids += await fleet.deploy([None] * 10)
    before = len(await home.history())
    async with asyncio.timeout(20):
        while len(await home.history()) < before + 40:
            await asyncio.sleep(0.02)
    assert {call.pid for call in fleet.calls()} == {old}

    new = await fleet.start("here", capacity=6, lease=5 * LEASE)
    ids += await fleet.deploy([None] * 10)
    await fleet.stop(old)
    await fleet.finish(ids)
    assert {call.pid for call in fleet.calls()} == {old, new}
    # Taken once by each replica, and not again and again though mail waits; nobody holds it.
    rows = await home.db.pool.fetch(
        "select state, fence, owner, due_at from machines where id = any($1) order by state", strange
    )
    assert [(row["state"], row["owner"]) for row in rows] == [("baking", None), ("running", None)]
    assert all(1 <= row["fence"] <= 2 and row["due_at"] is not None for row in rows)

    with pytest.raises(MigrationError, match=f"The database has {number:04}_more.sql; this version"):
        await pending(fleet.dsn)
    environ = {
        "PATH": os.environ["PATH"],
        "DEPLOYD_HOME": str(tmp_path / "served"),
        "DEPLOYD_DATABASE_URL": fleet.dsn,
        "DEPLOYD_PORT": "0",
    }
    again = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deployd.app"), cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await again.communicate()
    assert again.returncode == 1
    assert f"deployd: The database has {number:04}_more.sql".encode() in said
    assert b"what to do: Run the newer deployd" in said


async def _strange(home: House, kind: str, state: str) -> UUID:
    """A machine as only a newer version makes them, with mail."""
    machine_id = derived_id(home.world_id, "strange", kind)
    await home.db.pool.execute(
        "insert into machines (world_id, id, kind, state, facts, due_at)"
        " select world_id, $2, $3, $4, facts, now() from machines where world_id = $1 and kind = 'deployment'"
        " limit 1",
        *(home.world_id, machine_id, kind, state),
    )
    await home.db.pool.execute(
        "insert into mailbox (world_id, machine_id, trigger, actor) values ($1, $2, 'wake', 'deployd')",
        *(home.world_id, machine_id),
    )
    return machine_id
