"""procrastinate 3.10: a machine is a chain of eight jobs; each job's task defers the next one.

It is a queue, no engine: it keeps no state of a machine, checks no table, and numbers nothing but its own
jobs' events. Each job is durable: inserted, fetched, finished, each with a row of its events, by triggers. A
crash between a task's defer and the end of its job runs that job again, and so doubles the rest of the chain.
The first jobs of all machines are deferred in one call.

Configured as came out best on two cores: 16 jobs at once, a pool of at most 20 connections, LISTEN on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from bench.peers.program import STEPS, WARM_UP, check, main

CONCURRENCY = 16
POOL = 20


class _Chains:
    """Registers the task; `drive` makes the chains and waits for their ends."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._left = 0
        self._ended = asyncio.Event()

        @app.task(name="step")
        async def step(number: int) -> None:
            if number < STEPS:
                await step.defer_async(number=number + 1)
                return
            self._left -= 1
            if self._left == 0:
                self._ended.set()

        self._step = step

    async def drive(self, count: int) -> float:
        """Seconds from the first defer until no job is left."""
        self._left = count
        self._ended.clear()
        began = time.perf_counter()
        await self._step.batch_defer_async(*({"number": 1} for _ in range(count)))
        await self._ended.wait()
        while await self._count("status <> 'succeeded'"):
            await asyncio.sleep(0.01)
        return time.perf_counter() - began

    async def check(self, machines: int) -> None:
        """Every job ended well."""
        check("jobs that succeeded", await self._count("status = 'succeeded'"), machines * STEPS)

    async def _count(self, condition: str) -> int:
        row = await self._app.connector.execute_query_one_async(
            f"select count(*) as n from procrastinate_jobs where {condition}"
        )
        return int(row["n"])


@asynccontextmanager
async def _app(dsn: str) -> AsyncIterator[App]:
    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=4, max_size=POOL))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield app


async def _drive(dsn: str, machines: int) -> float:
    async with _app(dsn) as app:
        chains = _Chains(app)
        running = asyncio.create_task(
            app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)
        )
        try:
            await chains.drive(WARM_UP)
            seconds = await chains.drive(machines)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await chains.check(machines + WARM_UP)
        return seconds


if __name__ == "__main__":
    main(lambda dsn, machines: asyncio.run(_drive(dsn, machines)))
