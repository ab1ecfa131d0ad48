"""Ten million transitions later: what is as quick as on the first day, and what a replica's memory does.

Two databases of one server, one young and one with a year behind it, are measured in turn. Then the old one
is maintained with what is kept by default, and both are measured once more. What each line is:

transitions  steps of machines from birth to end, by a replica at work (bench/peers/deployd.py)
claim        taking 50 due machines
tail         reading the last 200 transitions from a cursor, as a subscription does
history      the newest page of a service's history
status       all services with the newest deployment of each
metrics      what /metrics asks of the database

Memory is the proportional set size of a replica while it takes machine after machine from birth to end.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import linear_regression, median
from uuid import UUID, uuid4

from bench.past import SERVICES, STEPS, fill
from bench.peers.deployd import Engine, engine
from bench.report import Options, Result, print_results, print_table, read_options, say
from bench.server import Server, postgres
from deployd.engine.context import Driver
from deployd.engine.maintaining import Maintaining
from deployd.model.actor import Actor, Role
from deployd.model.retention import Retention
from deployd.model.state import MachineKind
from deployd.sources.trees import Trees
from deployd.store import figures, machines, pages, reads, transitions
from deployd.store.pages import FIRST_NAME, LAST_MOMENT

PAST, PAST_QUICK = 10_000_000, 200_000
YOUNG = 100 * SERVICES * STEPS
"""Transitions of the young one: enough that each service has a page of them."""
MACHINES, MACHINES_QUICK = 500, 100
"""Of one round."""
SAMPLES, SAMPLES_QUICK = 100, 8
"""Of memory; between two of them MACHINES go from birth to end."""
CLAIMED = 50
AGAIN = 20
"""How often a query is asked in a round, of which the median counts."""
UNITS = {
    "transitions": "steps/s",
    "claim": "ms",
    "tail": "ms",
    "history": "ms",
    "status": "ms",
    "metrics": "ms",
}
NOBODY = "a placement that no worker has"
DUE = """
insert into machines (world_id, id, kind, state, placement, facts, due_at)
select $1, gen_random_uuid(), 'deployment', 'queued', $2, facts, now() from machines, generate_series(1, $3)
where world_id = $1 and kind = 'deployment' and id = $4
"""

Seen = dict[str, list[float]]


async def measure(options: Options) -> tuple[list[Result], str]:
    """The figures, and what memory did."""
    past = PAST_QUICK if options.quick else PAST
    async with postgres() as server, server.database("young") as young, server.database("old") as old:
        for dsn, number in ((young, YOUNG), (old, past)):
            async with engine(dsn) as replica:
                await fill(replica.db, replica.world_id, number)
        before = await _compare(young, old, options, "with its past")
        said = await _maintain(old, server)
        after = await _compare(young, old, options, "maintained")
        async with server.database("memory") as dsn:
            memory = await _memory(dsn, options)
    results = []
    for what, unit in UNITS.items():
        first, late, kept = (round(median(seen[what]), 3) for seen in (before[0], before[1], after[1]))
        work = f"{what}, {past:,} transitions later"
        results.append(Result("bounded", work, late, unit, {"first day": first, "maintained": kept}))
    return [*results, memory], said


async def _compare(young: str, old: str, options: Options, stage: str) -> tuple[Seen, Seen]:
    seen: tuple[Seen, Seen] = ({what: [] for what in UNITS}, {what: [] for what in UNITS})
    count = MACHINES_QUICK if options.quick else MACHINES
    for number in range(1, options.rounds + 1):
        for dsn, found, name in ((young, seen[0], "young"), (old, seen[1], stage)):
            async with engine(dsn) as replica:
                await replica.drive(50)
                found["transitions"].append(count * STEPS / await replica.drive(count))
                for what, figure in (await _queries(replica)).items():
                    found[what].append(figure)
            say(f"round {number} of {options.rounds}, {name}: {found['transitions'][-1]:,.0f} steps/s")
    return seen


async def _queries(replica: Engine) -> dict[str, float]:
    db, world_id = replica.db, replica.world_id
    row = await db.pool.fetchrow("select seq, at from world_heads where world_id = $1", world_id)
    assert row is not None
    known: UUID = await db.pool.fetchval(
        "select id from machines where world_id = $1 and kind = 'deployment'"
        " order by created_at desc limit 1",
        world_id,
    )
    service: UUID = await db.pool.fetchval(
        "select id from machines where world_id = $1 and kind = 'service' order by name limit 1", world_id
    )

    async def tail() -> None:
        await transitions.read(db, world_id, row["seq"] - 200, row["at"] - timedelta(hours=1), 200)

    async def history() -> None:
        _, found = await transitions.history(db, world_id, None, 50, service_id=service)
        await transitions.numbered(db, world_id, transitions.numbers(found))

    async def status() -> None:
        _, found = await pages.named(db, [world_id], MachineKind.SERVICE, FIRST_NAME, 200)
        keys = [key for key, _ in reads.pieces(found)]
        await reads.machines(db, keys)
        _, deployments = await pages.deployments(db, keys, LAST_MOMENT, 1)
        await reads.machines(db, [reads.key_of(stamp) for _, stamp in reads.pieces(deployments)])

    async def metrics() -> None:
        await figures.read(db)

    times = {"tail": await _timed(tail), "history": await _timed(history), "status": await _timed(status)}
    times["metrics"] = await _timed(metrics)
    await db.pool.execute(DUE, world_id, NOBODY, CLAIMED * AGAIN, known)
    try:
        owner = uuid4()

        async def claim() -> None:
            assert len(await machines.claim(db, owner, [NOBODY], CLAIMED)) == CLAIMED

        times["claim"] = await _timed(claim)
    finally:
        await db.pool.execute("delete from machines where placement = $1", NOBODY)
    return times


async def _timed(ask: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds of one, the median of AGAIN."""
    seen = []
    for _ in range(AGAIN):
        began = time.perf_counter()
        await ask()
        seen.append((time.perf_counter() - began) * 1000)
    return median(seen)


async def _maintain(dsn: str, server: Server) -> str:
    """With what is kept by default, run after run until all is done; what it did, and how long it took."""

    async def drivers() -> Sequence[Driver]:
        return []

    admin, began = Actor("bench", Role.ADMIN), time.perf_counter()
    counted: dict[str, int] = {}
    async with engine(dsn) as replica:
        size = "select pg_database_size(current_database()) / 1048576.0"
        before = await replica.db.pool.fetchval(size)
        upkeep = Maintaining(replica.db, Trees(server.home / "sources"), "bench", Retention(), drivers)
        while True:
            done = await upkeep.maintain(admin)
            for each in (each for one in done for each in one.counted):
                counted[each.what] = counted.get(each.what, 0) + each.number
            if all(one.outcome == "done" for one in done):
                break
        took = time.perf_counter() - began
        await replica.db.pool.execute("vacuum (analyze) machines")
        after = await replica.db.pool.fetchval(size)
    gone = ", ".join(f"{number:,} {what}" for what, number in counted.items() if number)
    return f"Maintenance took {took:.1f} s: {gone}; {before:,.0f} MiB became {after:,.0f}."


async def _memory(dsn: str, options: Options) -> Result:
    """How much a replica grows with each thousand machines that it has taken from birth to end."""
    samples = SAMPLES_QUICK if options.quick else SAMPLES
    count = MACHINES_QUICK if options.quick else MACHINES
    seen: list[float] = []
    async with engine(dsn) as replica:
        await replica.drive(count)
        for number in range(samples):
            await replica.drive(count)
            gc.collect()
            seen.append(_pss())
            say(f"memory {number + 1} of {samples}: {seen[-1]:,.0f} KiB")
    half = seen[len(seen) // 2 :]  # the first ones fill caches that are bounded
    slope = linear_regression([n * count / 1000 for n in range(len(half))], half).slope
    work = f"memory of a replica over {samples * count * STEPS:,} steps, growth in its second half"
    return Result("bounded", work, round(slope, 1), "KiB/1,000 machines", {"at its end (KiB)": half[-1]})


def _pss() -> float:
    """KiB of this process that are its own, and its part of what it shares."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1])
    raise RuntimeError("/proc has no Pss")


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=5)
    results, said = asyncio.run(measure(options))
    if options.json:
        print_results(results)
        return
    *speeds, memory = results
    rows = [
        (
            one.work.partition(",")[0],
            one.unit,
            f"{one.peers['first day']:,.2f}",
            f"{one.value:,.2f}",
            f"{one.ratios['first day']:.2f} times",
            f"{one.peers['maintained']:,.2f}",
            f"{one.peers['maintained'] / one.peers['first day']:.2f} times",
        )
        for one in speeds
    ]
    past = speeds[0].work.partition(", ")[2]
    print_table(
        f"{past}; rounds: {options.rounds}, medians; {SERVICES} services",
        ("", "unit", "first day", "later", "of first", "maintained", "of first "),
        rows,
        f"{said}\nMemory: {memory.value:+,.1f} {memory.unit} ({memory.work}; it had"
        f" {memory.peers['at its end (KiB)'] / 1024:.0f} MiB).",
    )


if __name__ == "__main__":
    main()
