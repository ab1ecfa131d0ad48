"""deployd's own engine, whole: worker, claim, mailbox, tables, group commit, transition rows, hints.

Its deployment machine with acts that do nothing: born in `queued` and moved seven times, to `succeeded`.
That is eight durable transitions, each a row of the world's gapless history and a version of the machine,
checked against owner and fence; seven acts run between them. Births come 500 to a call, as a change with
many services makes them. Stock asyncio loop, default capacity and pool: as the server runs it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

import asyncpg

from bench.peers.program import STEPS, WARM_UP, check, main, ready
from deployd.drivers.api import DriverContext
from deployd.drivers.registry import create
from deployd.engine.acts import ACTS, ANSWERS
from deployd.engine.birth import birth
from deployd.engine.bus import Bus
from deployd.engine.collecting import settle_collector
from deployd.engine.committer import Committer
from deployd.engine.context import Context
from deployd.engine.outcome import Act, Go, Outcome
from deployd.engine.worker import Worker
from deployd.model.facts import DeploymentFacts, Source
from deployd.model.identifier import new_id
from deployd.model.machine import Machine
from deployd.model.spec import ServiceSpec
from deployd.model.state import DeploymentState, MachineKind
from deployd.sources.trees import Trees
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions
from deployd.store.vault import Vault

MOVES = {
    "take_turn": "start",
    "fetch": "fetched",
    "plan": "planned",
    "build": "built",
    "provision": "provisioned",
    "release": "released",
    "verify": "verified",
}
"""By act, the trigger that it answers with."""
BIRTHS = 500
"""To a call."""
BARE = "update machines set version = version + 1 where world_id = $1 and id = $2"
"""What a transition is at the very least: committed by itself."""


BEGUN: deque[float] = deque(maxlen=STEPS)
"""When the last acts began, in seconds, since it was cleared."""


def _act(trigger: str) -> Act:
    async def act(context: Context, machine: Machine) -> Outcome:
        BEGUN.append(time.perf_counter())
        return Go(trigger)

    return act


class Engine:
    """A replica at work. Drives machines of some worlds, and checks them; those of others do not matter."""

    def __init__(self, db: Database, committer: Committer, world_ids: Sequence[int]) -> None:
        self.db, self._committer, self._world_ids = db, committer, world_ids

    @property
    def world_id(self) -> int:
        """The first of its worlds."""
        return self._world_ids[0]

    async def drive(self, count: int) -> float:
        """Seconds from the first birth to the last transition."""
        facts = DeploymentFacts(
            "bench", datetime.now(UTC), "bench", ServiceSpec("bench"), Source("/nonexistent")
        )
        goal = await self._moved() + count * STEPS
        began = time.perf_counter()
        for first in range(0, count, BIRTHS):
            births = range(first, min(first + BIRTHS, count))
            worlds_ = (self._world_ids[number % len(self._world_ids)] for number in births)
            await self._committer.store(
                births=tuple(birth(world_id, new_id(), facts, "bench") for world_id in worlds_)
            )
        while await self._moved() < goal:
            await asyncio.sleep(0.01)
        return time.perf_counter() - began

    async def _moved(self) -> int:
        """Transitions of all its worlds."""
        found = await self.db.pool.fetchval(
            "select sum(seq)::bigint from world_heads where world_id = any($1)", self._world_ids
        )
        assert isinstance(found, int)
        return found

    async def check(self, machines: int) -> None:
        """All ended well, in exactly eight transitions each, numbered without a gap in each world."""
        row = await self.db.pool.fetchrow(
            """
            select count(*) as machines, count(*) filter (where m.state = $1) as succeeded,
                   min(t.n) as least, max(t.n) as most
            from machines m join (select world_id, machine_id, count(*) as n from transitions
                                  where world_id = any($2) group by 1, 2) t
                 on t.world_id = m.world_id and t.machine_id = m.id
            """,
            DeploymentState.SUCCEEDED,
            self._world_ids,
        )
        assert row is not None
        check("machines, succeeded, transitions", tuple(row), (machines, machines, STEPS, STEPS))
        gaps = await self.db.pool.fetchval(
            """
            select count(*) from (select world_id, count(*) as n, min(seq) as least, max(seq) as most
                                  from transitions where world_id = any($1) group by 1) w
            where least <> 1 or most <> n
            """,
            self._world_ids,
        )
        check("worlds with a gap", gaps, 0)


@asynccontextmanager
async def engine(dsn: str, names: Sequence[str] = ("local",)) -> AsyncIterator[Engine]:
    """A replica works on this database, which is migrated, while the context lasts; these are its worlds."""
    await migrate(dsn)
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        db = await stack.enter_async_context(Database(dsn))
        await ensure_partitions(db)
        for name in names:
            await worlds.add(db, name, {})
        rows = await db.pool.fetch(
            "select world_id from worlds where name = any($1) order by world_id", list(names)
        )
        bus = Bus(db)
        await stack.enter_async_context(bus.running())
        committer = Committer(db, bus.committed)
        running = asyncio.create_task(committer.run())
        stack.push_async_callback(asyncio.wait, [running])
        stack.callback(committer.stop)
        trivial = {(MachineKind.DEPLOYMENT, name): _act(trigger) for name, trigger in MOVES.items()}
        context = Context(
            db,
            Trees(home / "sources"),
            "bench",
            lambda name, config: create(name, config, DriverContext(home / "drivers", "bench")),
            Vault(db, b"k" * 32),
        )
        await stack.enter_async_context(
            Worker(context, committer, bus, {**ACTS, **trivial}, ANSWERS, placements=["bench"])
        )
        settle_collector()  # as the server does
        yield Engine(db, committer, [row["world_id"] for row in rows])


async def _alone(dsn: str, replica: Engine, machines: int) -> float:
    """One machine after the other; what each step of theirs took is told beside a bare UPDATE."""
    bare, steps, began = [], [], time.perf_counter()
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow("select world_id, id from machines limit 1")
        assert row is not None
        for _ in range(machines):
            for _ in range(STEPS):
                sent = time.perf_counter()
                await connection.execute(BARE, row["world_id"], row["id"])
                bare.append(time.perf_counter() - sent)
            BEGUN.clear()
            await replica.drive(1)
            steps += [later - earlier for earlier, later in itertools.pairwise(BEGUN)]
    finally:
        await connection.close()
    print(json.dumps({"engine": median(steps) * 1000, "bare": median(bare) * 1000}), flush=True)
    return time.perf_counter() - began


async def _drive(dsn: str, machines: int, worlds: int = 1, alone: int = 0) -> float:
    own = [f"bench-{uuid4().hex}" for _ in range(worlds)]
    async with engine(dsn, own) as replica:
        await replica.drive(WARM_UP)
        if alone:
            seconds = await _alone(dsn, replica, machines)
        else:
            seconds = await replica.drive(machines)
        await replica.check(machines + WARM_UP)
        return seconds


async def _wait(dsn: str) -> None:
    """A replica that takes its part in the work of others, and has none of its own."""
    async with engine(dsn, ()):
        await asyncio.to_thread(ready)


if __name__ == "__main__":
    main(
        lambda dsn, machines, **options: asyncio.run(_drive(dsn, machines, **options)),
        lambda dsn: asyncio.run(_wait(dsn)),
        ["worlds", "alone"],
    )
