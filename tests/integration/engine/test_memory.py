"""What a replica keeps in memory once its machines have ended: nothing of them."""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import UTC, datetime
from pathlib import Path

from deployd.engine.acts import ACTS
from deployd.engine.birth import birth
from deployd.engine.committer import Committer
from deployd.engine.context import Context
from deployd.engine.outcome import Act, Acts, Go, Outcome
from deployd.engine.tracing import Traces
from deployd.model.facts import DeploymentFacts, Source
from deployd.model.identifier import new_id
from deployd.model.machine import Machine
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import House, house

MOVES = {
    "take_turn": "start",
    "fetch": "fetched",
    "plan": "planned",
    "build": "built",
    "provision": "provisioned",
    "release": "released",
    "verify": "verified",
}
MACHINES = 1000
OBJECTS = 0.5
"""For each machine that has ended. One that stays is tens of them, and its mere id in some set is one."""
ROUNDS = 4
"""A connection or a statement more is kept once, and costs a round; what stays of machines costs each."""


def trivial(trigger: str) -> Act:
    async def act(context: Context, machine: Machine) -> Outcome:
        return Go(trigger)

    return act


class Silent:
    """A tracer whose spans go nowhere."""

    def span(self, name: str, **_: object) -> None: ...


async def drive(home: House, committer: Committer, number: int) -> None:
    """So many deployments from birth to end, each woken once more on its way."""
    facts = DeploymentFacts("hello", datetime.now(UTC), "x", ServiceSpec("hello"), Source("/nonexistent"))
    pool = home.db.pool
    for first in range(0, number, 250):
        births = [
            birth(home.world_id, new_id(), facts, "x", service_id=new_id())
            for _ in range(first, min(first + 250, number))
        ]
        posts = tuple(Post(home.world_id, one.id, "retry", "x", {}) for one in births)
        await committer.store(births=tuple(births), posts=posts)
    give_up = time.monotonic() + 60
    while await pool.fetchval(
        "select exists (select from machines where state <> 'succeeded') or exists (select from mailbox)"
    ):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def measured(home: House, traces: Traces) -> int:
    """Objects that are held at rest: once all is told, and the last batch of all was a small one."""
    await drive(home, home.committer, 1)
    while traces._moves:
        await asyncio.sleep(0.02)
    for _ in range(3):
        await asyncio.sleep(0.05)
        gc.collect()
    return len(gc.get_objects())


async def test_machines_that_ended_leave_nothing(database: Database, tmp_path: Path) -> None:
    traces = Traces(database, Silent())  # type: ignore[arg-type]
    acts: Acts = {
        **ACTS,
        **{(MachineKind.DEPLOYMENT, name): trivial(trigger) for name, trigger in MOVES.items()},
    }
    async with house(database, tmp_path, acts=acts, moved=traces.moved) as home:
        telling = asyncio.create_task(traces.run())
        try:
            await drive(home, home.committer, 500)  # connections, statements, tables: once
            held = [await measured(home, traces)]
            for _ in range(ROUNDS):
                await drive(home, home.committer, MACHINES)
                held.append(await measured(home, traces))
                if held[-1] - held[-2] < OBJECTS * MACHINES:
                    break
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    assert held[-1] - held[-2] < OBJECTS * MACHINES, held
