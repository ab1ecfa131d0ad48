"""deployd's own engine, whole: worker, claim, mailbox, tables, group commit, transition rows, hints.

Its deployment machine with acts that do nothing: born in `queued` and moved seven times, to `succeeded`.
That is eight durable transitions, each a row of the world's gapless history and a version of the machine,
checked against owner and fence; seven acts run between them. Births come 500 to a call, as a change with
many services makes them. Stock asyncio loop, default capacity and pool: as the server runs it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.peers.program import STEPS, WARM_UP, check, main
from deployd.drivers.api import DriverContext
from deployd.drivers.registry import create
from deployd.engine.acts import ACTS, ANSWERS
from deployd.engine.birth import birth
from deployd.engine.bus import Bus
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


def _act(trigger: str) -> Act:
    async def act(context: Context, machine: Machine) -> Outcome:
        return Go(trigger)

    return act


class Engine:
    """A replica at work."""

    def __init__(self, db: Database, committer: Committer, world_id: int) -> None:
        self.db, self.committer, self.world_id = db, committer, world_id

    async def drive(self, count: int) -> float:
        """Seconds from the first birth to the last transition."""
        facts = DeploymentFacts(
            "bench", datetime.now(UTC), "bench", ServiceSpec("bench"), Source("/nonexistent")
        )
        goal = (await worlds.head(self.db, self.world_id))[0] + count * STEPS
        began = time.perf_counter()
        for first in range(0, count, BIRTHS):
            births = range(first, min(first + BIRTHS, count))
            await self.committer.store(
                births=tuple(birth(self.world_id, new_id(), facts, "bench") for _ in births)
            )
        while (await worlds.head(self.db, self.world_id))[0] < goal:
            await asyncio.sleep(0.01)
        return time.perf_counter() - began

    async def check(self, machines: int) -> None:
        """All ended well, in exactly eight transitions each, numbered without a gap."""
        row = await self.db.pool.fetchrow(
            """
            select count(*) as machines, count(*) filter (where m.state = $1) as succeeded,
                   min(t.n) as least, max(t.n) as most
            from machines m join (select machine_id, count(*) as n from transitions group by 1) t
                 on t.machine_id = m.id
            """,
            DeploymentState.SUCCEEDED,
        )
        assert row is not None
        check("machines, succeeded, transitions", tuple(row), (machines, machines, STEPS, STEPS))
        row = await self.db.pool.fetchrow("select count(*), min(seq), max(seq) from transitions")
        assert row is not None
        check("count and range of seq", tuple(row), (machines * STEPS, 1, machines * STEPS))


@asynccontextmanager
async def engine(dsn: str) -> AsyncIterator[Engine]:
    """A replica works on this database, which is migrated, while the context lasts."""
    await migrate(dsn)
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        db = await stack.enter_async_context(Database(dsn))
        await worlds.add(db, "local", {})
        await ensure_partitions(db)
        world = await worlds.get(db, "local")
        assert world is not None
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
        yield Engine(db, committer, world.world_id)


async def _drive(dsn: str, machines: int) -> float:
    async with engine(dsn) as replica:
        await replica.drive(WARM_UP)
        seconds = await replica.drive(machines)
        await replica.check(machines + WARM_UP)
        return seconds


if __name__ == "__main__":
    main(lambda dsn, machines: asyncio.run(_drive(dsn, machines)))
