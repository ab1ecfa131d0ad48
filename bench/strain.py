"""Throughput where it is hard: several replicas on one world, a slow disk, a snapshot that is held open.

* 1, 2 and 4 replicas, processes that share the machines of one world (10,000 of 8 steps).
* A disk whose flushes take 2 ms more, beside pgqueuer and pgbench on it. Postgres itself waits so long before
  each flush (`commit_delay`, with `commit_siblings = 0`), holding the lock that a flush holds.
* A snapshot held open for a minute, which no vacuum can clear up behind: steps per second before it, in its
  first and last quarter, and after it, beside pgqueuer.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median

import asyncpg

from bench.machine import describe
from bench.peers import pgbench
from bench.peers.program import STEPS, idle, run
from bench.report import Options, Result, print_results, print_table, read_options, say
from bench.server import Server, postgres

MACHINES, MACHINES_QUICK = 10_000, 500
REPLICAS = (1, 2, 4)
FLUSH = 2000  # µs
SLOWED, SLOWED_QUICK = 500, 50
HELD, HELD_QUICK = 60.0, 5.0
HELD_MACHINES, HELD_MACHINES_QUICK = 2000, 200
PGBENCH_SECONDS = 3.0


async def replicas(server: Server, options: Options) -> list[Result]:
    """Steps per second; the peer of several is one."""
    machines = MACHINES_QUICK if options.quick else MACHINES
    seen: dict[int, list[float]] = {count: [] for count in REPLICAS}
    for number in range(options.rounds):
        for count, speeds in seen.items():
            async with AsyncExitStack() as stack:
                dsn = await stack.enter_async_context(server.database(f"replicas_{count}_{number}"))
                await run("deployd", dsn, 50)
                for _ in range(count - 1):
                    await stack.enter_async_context(idle("deployd", dsn))
                speeds.append(machines * STEPS / await run("deployd", dsn, machines))
            say(f"{count} replicas: {speeds[-1]:,.0f} steps/s")
    one = round(median(seen[1]), 1)
    work = f"{machines:,} machines of one world, {{}} replicas"
    return [
        Result(
            "replicas",
            work.format(count),
            round(median(speeds), 1),
            "steps/s",
            {} if count == 1 else {"one": one},
        )
        for count, speeds in seen.items()
    ]


async def slow_disk(server: Server, options: Options) -> list[Result]:
    """Steps per second."""
    machines = SLOWED_QUICK if options.quick else SLOWED
    seen: dict[str, list[float]] = {"deployd": [], "pgqueuer": [], "pgbench": []}
    for number in range(options.rounds):
        for name, speeds in seen.items():
            database = f"slow_{name}_{number}"
            async with server.database(database) as dsn:
                await server.execute(f"alter database {database} set commit_delay = {FLUSH}")
                await server.execute(f"alter database {database} set commit_siblings = 0")
                if name == "pgbench":
                    seconds = 1.0 if options.quick else PGBENCH_SECONDS
                    speeds.append((await pgbench.best(dsn, machines, seconds, notify=False))[0])
                else:
                    speeds.append(machines * STEPS / await run(name, dsn, machines))
            say(f"flushes of 2 ms: {name} {speeds[-1]:,.0f} steps/s")
    ours, *theirs = (round(median(speeds), 1) for speeds in seen.values())
    work = f"{machines} machines, each flush 2 ms longer"
    return [Result("slow disk", work, ours, "steps/s", dict(zip(list(seen)[1:], theirs, strict=True)))]


async def _held(server: Server, peer: str, machines: int, seconds: float) -> dict[str, float]:
    """Steps per second, again and again, in one database."""

    async def speed() -> float:
        return machines * STEPS / await run(peer, dsn, machines)

    async with server.database(f"held_{peer}") as dsn:
        before = median([await speed() for _ in range(3)])
        reader = await asyncpg.connect(dsn)
        try:
            async with reader.transaction(isolation="repeatable_read"):
                await reader.fetchval("select count(*) from pg_class")
                began, speeds = time.monotonic(), []
                while time.monotonic() - began < seconds or len(speeds) < 2:
                    speeds.append(await speed())
        finally:
            await reader.close()
        await asyncio.sleep(2)
        after = median([await speed() for _ in range(3)])
    quarter = max(1, len(speeds) // 4)
    return {
        "before it": round(before, 1),
        "in its first quarter": round(median(speeds[:quarter]), 1),
        "in its last quarter": round(median(speeds[-quarter:]), 1),
        "after it": round(after, 1),
    }


async def snapshot(server: Server, options: Options) -> list[Result]:
    """Steps per second."""
    machines = HELD_MACHINES_QUICK if options.quick else HELD_MACHINES
    seconds = HELD_QUICK if options.quick else HELD
    ours = await _held(server, "deployd", machines, seconds)
    say(f"deployd: {ours}")
    theirs = await _held(server, "pgqueuer", machines // 10, seconds)
    say(f"pgqueuer: {theirs}")
    return [
        Result("snapshot", f"a snapshot held for {seconds:.0f} s: {when}", ours[when], "steps/s", peers)
        for when, peers in ((when, {"pgqueuer": theirs[when]}) for when in ours)
    ]


async def measure(options: Options) -> list[Result]:
    """All three."""
    async with postgres() as server:
        return [
            *await slow_disk(server, options),
            *await replicas(server, options),
            *await snapshot(server, options),
        ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=3)
    results = asyncio.run(measure(options))
    if options.json:
        print_results(results)
        return
    rows = [
        (
            one.work,
            f"{one.value:,.0f}",
            ", ".join(f"{name}: {value:,.0f}" for name, value in one.peers.items()),
            ", ".join(f"{ratio:.2f} times" for ratio in one.ratios.values()),
        )
        for one in results
    ]
    print_table(
        "Steps per second where it is hard",
        ("", "deployd", "beside", "ratio"),
        rows,
        describe(["pgqueuer"]),
    )


if __name__ == "__main__":
    main()
