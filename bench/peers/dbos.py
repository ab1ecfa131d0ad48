"""DBOS 3.4: a machine is a workflow of eight steps that do nothing.

It checkpoints each step's result in Postgres, and the workflow's beginning and end besides, so that a
workflow that is run again after a crash skips what it did. (Those two more writes are not counted as
steps.) It keeps no machine with states and a table of moves, and numbers nothing across workflows.

Configured as came out best on two cores, in alternating runs: plain functions begun with `start_workflow`
(coroutines came out a fifth slower, and so did its queues, which are polled), on 4 threads (8 and 16 were a
little slower; by default there is no limit, and at hundreds it is half as fast), its default pool of 20
connections without a ping before each use, and without LISTEN/NOTIFY, which nothing here waits for.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
from dbos import DBOS, DBOSConfig

from bench.peers.program import STEPS, WARM_UP, check, main, ready

THREADS = 4


@DBOS.step()
def _step(number: int) -> int:
    return number


@DBOS.workflow()
def _machine(number: int) -> int:
    for step in range(STEPS):
        _step(step)
    return number


def _config(dsn: str, **more: Any) -> DBOSConfig:
    config: DBOSConfig = {"name": "bench", "system_database_url": dsn, "log_level": "WARNING"}
    config.update(more)  # type: ignore[typeddict-item] # only keys of its own
    return config


def _run(count: int) -> float:
    """Seconds from the first start to the last result."""
    began = time.perf_counter()
    handles = [DBOS.start_workflow(_machine, number) for number in range(count)]
    results = [handle.get_result() for handle in handles]
    seconds = time.perf_counter() - began
    check("results", results, list(range(count)))
    return seconds


async def _check(dsn: str, machines: int) -> None:
    """Every workflow succeeded, with eight checkpoints each."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(
            """
            select count(*), count(*) filter (where w.status = 'SUCCESS'), min(s.n), max(s.n)
            from dbos.workflow_status w
            left join (select workflow_uuid, count(*) as n from dbos.operation_outputs group by 1) s
                 using (workflow_uuid)
            """
        )
    finally:
        await connection.close()
    assert row is not None
    check("workflows, succeeded, steps", tuple(row), (machines, machines, STEPS, STEPS))


def _drive(dsn: str, machines: int) -> float:
    DBOS(
        config=_config(
            dsn,
            max_executor_threads=THREADS,
            use_listen_notify=False,
            db_engine_kwargs={"pool_pre_ping": False},
        )
    )
    DBOS.launch()
    try:
        _run(WARM_UP)
        seconds = _run(machines)
    finally:
        DBOS.destroy()
    asyncio.run(_check(dsn, machines + WARM_UP))
    return seconds


def _wait(dsn: str) -> None:
    """As its documentation has it: launched, with one queue, everything else by default."""
    DBOS(config=_config(dsn))
    DBOS.launch()
    try:
        DBOS.register_queue("bench")
        ready()
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main(_drive, _wait)
