"""What it costs while nothing happens: memory, and processor time over 20 seconds.

A deployd server with no service, and with ten that were deployed and do nothing but answer health checks;
its peers' workers as their documentation starts them, connected and waiting. All use one Postgres, one
after the other. A server does more than a worker: it also answers the API and watches over services.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from statistics import median

from bench.peers.program import idle
from bench.processes import Usage, usage
from bench.report import Options, Result, print_results, print_table, read_options, say
from bench.running import deployd
from bench.server import Server, postgres

WINDOW, WINDOW_QUICK = 20.0, 3.0
SETTLING = 3.0
"""Seconds between being ready and being measured."""
SERVICES = 10
OURS = {"deployd, no service": 0, f"deployd, {SERVICES} services": SERVICES}
PEERS = {"dbos worker": "dbos", "pgqueuer worker": "pgqueuer"}

OWN = "server process"
WORKER = "worker process"
SHIMS, PROGRAMS = "shims", "the services themselves"
CONNECTIONS, POSTGRES = "Postgres: connections", "Postgres: the rest"
"""What belongs to what; `Postgres: the rest` would be there without anybody."""
Groups = dict[str, list[int]]
Used = Mapping[str, Usage]


@asynccontextmanager
async def _subject(server: Server, dsn: str, name: str, number: int) -> AsyncIterator[Groups]:
    """Up and settled: its processes by group, those of Postgres not among them."""
    services = OURS.get(name)
    if services is None:
        async with idle(PEERS[name], dsn) as pid:
            await asyncio.sleep(SETTLING)
            yield {WORKER: [pid]}
        return
    async with deployd(server.home / f"deployd-{services}-{number}", dsn, services) as running:
        await asyncio.sleep(SETTLING)
        groups = {OWN: [running.pid]}
        if services:
            groups |= {SHIMS: running.shims(), PROGRAMS: running.programs()}
        yield groups


async def measure(options: Options) -> dict[str, Used]:
    """By subject and group, medians of all rounds."""
    seconds = WINDOW_QUICK if options.quick else WINDOW
    seen: dict[str, list[Used]] = {name: [] for name in (*OURS, *PEERS)}
    async with postgres() as server:
        for number in range(1, options.rounds + 1):
            for name, used in seen.items():
                database = f"idle_{number}"
                async with server.database(database) as dsn, _subject(server, dsn, name, number) as groups:
                    groups[CONNECTIONS] = await server.connections(database)
                    groups[POSTGRES] = await server.own_processes()
                    used.append(await usage(groups, seconds))
                say(f"round {number} of {options.rounds}: {name}")
    return {
        name: {group: _median([one[group] for one in used]) for group in used[0]}
        for name, used in seen.items()
    }


def _median(seen: list[Usage]) -> Usage:
    return Usage(
        seen[-1].processes,
        median(one.rss for one in seen),
        median(one.pss for one in seen),
        median(one.cpu for one in seen),
    )


def results(found: Mapping[str, Used]) -> list[Result]:
    """The server and its shims against a worker, each without and with what Postgres does for it."""
    made = []
    for ours in OURS:
        for unit, what, groups in (
            ("MiB", "rss", (OWN, SHIMS, WORKER)),
            ("MiB", "pss", (OWN, SHIMS, WORKER)),
            ("s/min", "cpu", (OWN, SHIMS, WORKER)),
            ("s/min", "cpu", (OWN, SHIMS, WORKER, CONNECTIONS)),
        ):
            of = "processes and connections" if CONNECTIONS in groups else "processes"
            value = _sum(found[ours], what, groups)
            theirs = {peer: _sum(found[name], what, groups) for name, peer in PEERS.items()}
            made.append(Result("idle", f"{ours}: {what.upper()} of its {of}", value, unit, theirs))
    return made


def _sum(used: Used, what: str, groups: Sequence[str]) -> float:
    return round(float(sum(getattr(used[group], what) for group in groups if group in used)), 3)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=3)
    found = asyncio.run(measure(options))
    if options.json:
        print_results(results(found))
        return
    rows = []
    for name, used in found.items():
        for number, (group, one) in enumerate(used.items()):
            rows.append(
                (
                    "" if number else name,
                    group,
                    str(one.processes),
                    f"{one.rss:.1f}",
                    f"{one.pss:.1f}",
                    f"{one.cpu:.2f}",
                )
            )
    print_table(
        f"Idle; rounds: {options.rounds}, medians",
        ("", "what", "processes", "RSS MiB", "PSS MiB", "CPU s/min"),
        rows,
        "RSS counts shared memory in every process (Postgres' 64 MiB of buffers above all), PSS divides it.",
    )


if __name__ == "__main__":
    main()
