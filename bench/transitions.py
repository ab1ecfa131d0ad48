"""Durable steps per second: machines of eight steps each, from the first enqueue to the last end.

500 machines, beside peers that write as many durable steps to the same server; then more machines, and many
worlds. What each of them does for a step, and how it was configured, is said in bench/peers/NAME.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median

from bench.peers import pgbench
from bench.peers.program import STEPS, run
from bench.report import Options, Result, print_results, print_table, read_options, say
from bench.server import Server, postgres

OURS = "deployd"
MANY = 500
"""Machines, and worlds, of the comparison …"""
MORE = 10_000
"""… and of what is shown of deployd alone."""
QUICK = 10
"""By how much less a quick run is."""
PGBENCH_SECONDS = 3.0

Measure = Callable[[Server, str], Awaitable[float]]
"""Steps per second, in a database of this name."""


def _program(peer: str, machines: int, **options: int) -> Measure:
    async def measure(server: Server, name: str) -> float:
        async with server.database(name) as dsn:
            return machines * STEPS / await run(peer, dsn, machines, **options)

    return measure


def _pgbench(machines: int, seconds: float, *, notify: bool) -> Measure:
    async def measure(server: Server, name: str) -> float:
        async with server.database(name) as dsn:
            found, clients = await pgbench.best(dsn, machines, seconds, notify=notify)
            say(f"pgbench is fastest with {clients} clients")
            return found

    return measure


async def _rounds(server: Server, what: str, subjects: dict[str, Measure], rounds: int) -> dict[str, float]:
    """Medians; rounds of everybody in turn, each in a process and a database of its own."""
    speeds: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(1, rounds + 1):
        for place, (name, measure) in enumerate(subjects.items()):
            speeds[name].append(await measure(server, f"{what}_{number}_{place}"))
            say(f"{what}, round {number} of {rounds}: {name} {speeds[name][-1]:,.0f} steps/s")
    return {name: round(median(seen), 1) for name, seen in speeds.items()}


async def measure(options: Options) -> list[Result]:
    """The comparison first, then the sizes."""
    less = QUICK if options.quick else 1
    many, more = MANY // less, MORE // less
    seconds = PGBENCH_SECONDS / less
    async with postgres() as server:
        peers = await _rounds(
            server,
            "peers",
            {
                OURS: _program("deployd", many),
                "dbos": _program("dbos", many),
                "pgqueuer": _program("pgqueuer", many),
                "procrastinate": _program("procrastinate", many),
                "pgbench, NOTIFY in the transaction": _pgbench(many, seconds, notify=True),
                "pgbench": _pgbench(many, seconds, notify=False),
            },
            options.rounds,
        )
        sizes = await _rounds(
            server,
            "sizes",
            {
                f"{many:,} machines in {many:,} worlds": _program("deployd", many, worlds=many),
                f"{more:,} machines in one world": _program("deployd", more),
                f"{more:,} machines in {many:,} worlds": _program("deployd", more, worlds=many),
            },
            options.rounds,
        )
    work = f"{many} machines of {STEPS} durable steps in one world"
    return [
        Result("transitions", work, peers.pop(OURS), "steps/s", peers),
        *(Result("transitions", work, value, "steps/s", {}) for work, value in sizes.items()),
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=5)
    results = asyncio.run(measure(options))
    if options.json:
        print_results(results)
        return
    first, *sizes = results
    rows = [(OURS, f"{first.value:,.0f}", "")]
    rows += [
        (name, f"{value:,.0f}", f"{first.ratios[name]:.1f} times") for name, value in first.peers.items()
    ]
    print_table(
        f"{first.work}; rounds: {options.rounds}, medians",
        ("", first.unit, "deployd makes"),
        rows,
        "One Postgres, fsync on, and one process each. What a step is to each of them: bench/peers/.\n"
        "pgbench at its best number of clients.",
    )
    print_table(
        f"deployd, {STEPS} steps each; rounds: {options.rounds}, medians",
        ("", "steps/s"),
        [(one.work, f"{one.value:,.0f}") for one in sizes],
    )


if __name__ == "__main__":
    main()
