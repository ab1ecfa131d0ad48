"""Durable steps per second: 500 machines of eight steps each, from the first enqueue to the last end.

What each of them does for a step, and how it was configured, is said in bench/peers/NAME.py.
"""

from __future__ import annotations

import asyncio
from statistics import median

from bench.peers.program import STEPS, run
from bench.report import Options, Result, print_results, print_table, read_options, say
from bench.server import postgres

OURS = "deployd"
PEERS = ("dbos", "pgqueuer")
MACHINES, MACHINES_QUICK = 500, 50


async def measure(options: Options) -> list[Result]:
    """Rounds of everybody in turn, each in a process and a database of its own."""
    machines = MACHINES_QUICK if options.quick else MACHINES
    speeds: dict[str, list[float]] = {name: [] for name in (OURS, *PEERS)}
    async with postgres() as server:
        for number in range(1, options.rounds + 1):
            for name, seen in speeds.items():
                async with server.database(f"{name}_{number}") as dsn:
                    seen.append(machines * STEPS / await run(name, dsn, machines))
                say(f"round {number} of {options.rounds}: {name} {seen[-1]:,.0f} steps/s")
    ours, *theirs = (round(median(seen), 1) for seen in speeds.values())
    work = f"{machines} machines of {STEPS} durable steps"
    return [Result("transitions", work, ours, "steps/s", dict(zip(PEERS, theirs, strict=True)))]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=5)
    results = asyncio.run(measure(options))
    if options.json:
        print_results(results)
        return
    for one in results:
        rows = [(OURS, f"{one.value:,.0f}", "")]
        rows += [
            (name, f"{value:,.0f}", f"{one.ratios[name]:.1f} times") for name, value in one.peers.items()
        ]
        print_table(
            f"{one.work}; rounds: {options.rounds}, medians",
            ("", one.unit, "deployd makes"),
            rows,
            "One Postgres, fsync on, and one process each. What a step is to each of them: bench/peers/.",
        )


if __name__ == "__main__":
    main()
