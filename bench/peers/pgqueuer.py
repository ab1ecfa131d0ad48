"""pgqueuer 1.6: a machine is a chain of eight jobs; each job's handler enqueues the next one.

It is a queue, no engine: it keeps no state of a machine, checks no table, numbers nothing, and what it
logs is each job's own life (queued, picked, successful). A crash between a handler's enqueue and the end
of its job runs that job again, and so doubles the rest of the chain. Each job is durable: inserted,
picked and, in batches, deleted with a row in the log; tables as its documentation recommends for data
that matters (`durable`, its default). The first jobs of all machines are enqueued in one call.

Configured as came out best on two cores, in alternating runs: an asyncpg pool of 4 (one connection has
handlers queue behind the dequeue, 8 and 20 got slower), batches of 200 (of 10, the default, 50, 100, 200
and 500), no limits of concurrency (each adds to the dequeue statement), the stock asyncio loop (uvloop made
no difference beyond the noise).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.models import Job

from bench.peers.program import STEPS, WARM_UP, check, main, ready

BATCH = 200
POOL = 4
ENTRYPOINT = "step"


class _Chains:
    """Registers the handler; `drive` makes the chains and waits for their ends."""

    def __init__(self, app: PgQueuer) -> None:
        self._queries = cast("Queries", app.queries)
        self._left = 0
        self._ended = asyncio.Event()

        @app.entrypoint(ENTRYPOINT)
        async def step(job: Job) -> None:
            assert job.payload is not None
            number = int(job.payload)
            if number < STEPS:
                await self._queries.enqueue(ENTRYPOINT, b"%d" % (number + 1))
                return
            self._left -= 1
            if self._left == 0:
                self._ended.set()

    async def drive(self, count: int) -> float:
        """Seconds from the first enqueue until no job is left."""
        self._left = count
        self._ended.clear()
        began = time.perf_counter()
        await self._queries.enqueue([ENTRYPOINT] * count, [b"1"] * count, [0] * count)
        await self._ended.wait()
        # The ends of the last jobs are written in batches too: it is done once they are.
        while await self._queries.queue_size():
            await asyncio.sleep(0.01)
        return time.perf_counter() - began

    async def logged(self) -> Counter[str]:
        """What is in the log by now, by status."""
        return Counter(entry.status for entry in await self._queries.queue_log())

    async def check(self, machines: int, before: Counter[str]) -> None:
        """Every job was queued once, and ended well."""
        log = await self.logged() - before
        expected = dict.fromkeys(("queued", "picked", "successful"), machines * STEPS)
        check("jobs in the log", dict(log), expected)


@asynccontextmanager
async def _app(dsn: str) -> AsyncIterator[PgQueuer]:
    async with asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL) as pool:
        app = PgQueuer.from_asyncpg_pool(pool)
        queries = cast("Queries", app.queries)
        if not await queries.has_table("pgqueuer"):
            await queries.install()
        yield app


async def _drive(dsn: str, machines: int) -> float:
    async with _app(dsn) as app:
        chains = _Chains(app)
        before = await chains.logged()
        running = asyncio.create_task(app.run(batch_size=BATCH))
        try:
            await chains.drive(WARM_UP)
            seconds = await chains.drive(machines)
        finally:
            app.shutdown.set()
            await running
        await chains.check(machines + WARM_UP, before)
        return seconds


async def _wait(dsn: str) -> None:
    async with _app(dsn) as app:
        _Chains(app)
        running = asyncio.create_task(app.run())
        await asyncio.sleep(1)  # until it listens
        try:
            await asyncio.to_thread(ready)
        finally:
            app.shutdown.set()
            await running


if __name__ == "__main__":
    main(lambda dsn, machines: asyncio.run(_drive(dsn, machines)), lambda dsn: asyncio.run(_wait(dsn)))
