"""What a transition costs as the tables grow, what machines cost that rest, and how long a lone one waits.

* The cost of a transition, with 1,000 to 1,000,000 machines that have ended in the table: 2,000 machines of 8
  steps among them, in wall time and in processor time of their Postgres.
* 100,000 machines that rest (served, to be looked at in an hour): processor time of a replica, and of its
  Postgres, beside that with none.
* A lone machine, step after step, nothing else to do: from the end of one act to the beginning of the next,
  which is one commit, beside a bare `UPDATE … COMMIT` of the same row by the same library.
"""

from __future__ import annotations

import asyncio
from statistics import median

import asyncpg

from bench.machine import describe
from bench.peers.program import STEPS, idle, lone, run
from bench.processes import spent, usage
from bench.report import Options, Result, print_results, print_table, read_options, say
from bench.server import Server, postgres

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SIZES_QUICK = (1_000, 10_000)
MOVING, MOVING_QUICK = 2000, 200
RESTING, RESTING_QUICK = 100_000, 10_000
WINDOW, WINDOW_QUICK = 30.0, 3.0
SETTLING = 3.0
LONE, LONE_QUICK = 200, 20

_FACTS = """
{"change": "bench", "service": "bench", "spec": {"name": "bench", "run": "python -m bench", "port": 8080,
 "env": {"LOG_LEVEL": "info"}}, "source": {"url": "/srv/bench", "commit": "0123456789abcdef"},
 "requested_by": "person:bench", "requested_at": "2026-01-01T00:00:00Z"}
"""
_FILL = """
insert into machines (world_id, id, kind, state, facts, due_at)
select $1, gen_random_uuid(), $2, $3, $4::jsonb, now() + $5 * interval '1 second'
from generate_series(1, $6::int)
"""


async def _fill(dsn: str, kind: str, state: str, due: float | None, count: int) -> None:
    """So many machines in one world of their own, and statistics about them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_FILL, 999_999, kind, state, _FACTS, due, count, timeout=600)
        await connection.execute("vacuum analyze machines", timeout=600)
        await connection.execute("checkpoint", timeout=600)
    finally:
        await connection.close()


async def _grown(server: Server, size: int, moving: int, name: str) -> tuple[float, float]:
    """Microseconds of wall time, and of Postgres' processor time, per transition."""
    async with server.database(name) as dsn:
        await run("deployd", dsn, 50)  # makes the schema
        await _fill(dsn, "deployment", "succeeded", None, size)
        before = spent([await server.postmaster()])
        seconds = await run("deployd", dsn, moving)
        # What its connections took is the postmaster's children's, once they have ended.
        used = spent([await server.postmaster()]) - before
        return seconds / moving / STEPS * 1e6, used / moving / STEPS * 1e6


async def growth(server: Server, options: Options) -> list[Result]:
    """One result for each size; its peer is the smallest."""
    sizes = SIZES_QUICK if options.quick else SIZES
    moving = MOVING_QUICK if options.quick else MOVING
    seen: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    for number in range(options.rounds):
        for size, costs in seen.items():
            costs.append(await _grown(server, size, moving, f"grown_{size}_{number}"))
            say(f"{size:,} machines: {costs[-1][0]:.1f} µs a transition, Postgres {costs[-1][1]:.1f} µs")
    results = []
    for place, what in enumerate(("wall time", "processor time of Postgres")):
        medians = {size: round(median(one[place] for one in costs), 1) for size, costs in seen.items()}
        results += [
            Result(
                "growth",
                f"{what} of a transition among {size:,} machines",
                cost,
                "µs",
                {} if size == sizes[0] else {f"among {sizes[0]:,}": medians[sizes[0]]},
            )
            for size, cost in medians.items()
        ]
    return results


async def resting(server: Server, options: Options) -> list[Result]:
    """Seconds of processor time a minute, with so many machines and with none."""
    count = RESTING_QUICK if options.quick else RESTING
    used: dict[int, float] = {}
    for machines in (0, count):
        async with server.database(f"resting_{machines}") as dsn:
            await run("deployd", dsn, 50)
            if machines:
                await _fill(dsn, "service", "serving", 3600.0, machines)
            async with idle("deployd", dsn) as pid:
                await asyncio.sleep(SETTLING)
                connections = await server.connections(f"resting_{machines}")
                groups = {"engine": [pid, *connections]}
                found = await usage(groups, WINDOW_QUICK if options.quick else WINDOW)
                used[machines] = round(found["engine"].cpu, 3)
            say(f"{machines:,} machines that rest: {used[machines]} s of processor time a minute")
    work = f"a replica and its connections, {count:,} machines that rest"
    return [Result("resting", work, used[count], "s a minute", {"none": used[0]})]


async def alone(server: Server, options: Options) -> list[Result]:
    """Milliseconds, medians."""
    async with server.database("alone") as dsn:
        found = await lone("deployd", dsn, LONE_QUICK if options.quick else LONE)
    work = "a lone machine, from the end of an act to the next, committed between"
    return [
        Result("lone", work, round(found["engine"], 3), "ms", {"UPDATE … COMMIT": round(found["bare"], 3)})
    ]


async def measure(options: Options) -> list[Result]:
    """All three."""
    async with postgres() as server:
        return [
            *await alone(server, options),
            *await resting(server, options),
            *await growth(server, options),
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
            f"{one.value:,.3g}",
            one.unit,
            ", ".join(f"{name}: {value:,.3g}" for name, value in one.peers.items()),
            ", ".join(f"{ratio:.2f} times" for ratio in one.ratios.values()),
        )
        for one in results
    ]
    print_table("What a transition costs", ("", "deployd", "", "beside", "ratio"), rows, describe([]))


if __name__ == "__main__":
    main()
