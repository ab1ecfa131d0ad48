"""One soak: a workload on real replicas and a real Postgres while everything breaks, then the oracle.

    python -m tests.chaos.soak --seed N [--seconds S] [--minutes M]

With `--minutes` it goes on with the next seeds for so long. All that happens follows a schedule that derives
from the seed; what does not (how the processes interleave) differs, so a seed may have to be run a few times.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from deployd.errors import DeploydError
from deployd.store import worlds
from deployd.store.database import Database
from tests.chaos import oracle
from tests.chaos.faults import strike
from tests.chaos.schedule import WORLDS, Schedule, draw
from tests.chaos.stage import Stage, staged
from tests.chaos.subscriber import Subscriber
from tests.chaos.weather import Weather
from tests.chaos.workload import Workload
from tests.integration.web.server import serve
from tests.standin import Folder

__all__ = ["Broken", "soak"]

SECONDS = 8.0
"""For how long things break."""
SETTLING = 60.0
"""Seconds in which all has to come to rest afterwards."""


class Broken(AssertionError):
    """The oracle says no."""


async def soak(seed: int, seconds: float = SECONDS, *, kept: Path | None = None) -> str:
    """Run the schedule of this seed; what it came to, in one line.

    Raises Broken with the schedule, what happened, and the command that runs it again. `kept`: a folder for
    what the replicas said, should it come to that.
    """
    schedule = draw(seed, seconds)
    with_disk = any(fault.kind == "disk full" for fault in schedule.faults)
    async with staged(seed, schedule.replicas, with_disk=with_disk) as stage:
        try:
            return await _played(stage, schedule)
        except BaseException as error:
            if isinstance(error, Broken):
                said = "\n".join(stage.log)  # in the order in which it came about
                again = f"python -m tests.chaos.soak --seed {seed} --seconds {seconds:g}"
                error.args = (f"{error}\n\n{schedule}\n\nwhat happened:\n{said}\n\nto run it again: {again}",)
            for replica in stage.replicas:
                replica.signal(signal.SIGUSR1)
            await asyncio.sleep(0.5)
            if kept is not None and (log := stage.home / "replicas.log").exists():
                (kept / f"soak-{seed}.log").write_bytes(log.read_bytes())
            raise


async def _played(stage: Stage, schedule: Schedule) -> str:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database(stage.dsn))
        served = await stack.enter_async_context(serve(db, world=WORLDS[0]))
        workload = Workload(served.api.operations, stage.home, stage.log)
        subscribers = []
        for number, name in enumerate(WORLDS):
            cursor = (await served.data(f'{{ world(name: "{name}") {{ cursor }} }}'))["world"]["cursor"]
            chance = random.Random(schedule.seed * 10 + number)
            subscribers.append(Subscriber(served, name, cursor, chance))
        await stack.enter_async_context(served.api.bus.running())
        following = [asyncio.create_task(one.run()) for one in subscribers]
        for task in following:
            stack.callback(task.cancel)
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for name in WORLDS:
                mine = [ask for ask in schedule.asks if ask.world == name]
                group.create_task(_in_time(begun, [(ask.at, _bound(workload.ask, ask)) for ask in mine]))
            for fault in schedule.faults:
                group.create_task(_in_time(begun, [(fault.at, _bound(strike, stage, fault))]))
        _calm(stage)
        stage.log.append(f"{time.monotonic() - begun:6.2f}  faults over")
        settled = time.monotonic()
        async with Database(await _reachable(stage)) as direct:
            ids = [row["world_id"] for row in await direct.pool.fetch("select world_id from worlds")]
            await _settle(stage, direct, workload, ids)
            took = time.monotonic() - settled
            await _judge(direct, subscribers)
            for task in (task for task in following if task.done()):
                task.result()  # it never ends by itself
            moved = await direct.pool.fetchval("select count(*) from transitions")
            answered = await direct.pool.fetchval("select count(*) from chaos_consumed")
        starts = sum(one.starts for one in stage.replicas)
        return (
            f"seed {schedule.seed}: {moved} transitions, {answered} requests answered once, {starts} starts"
            f" of {len(stage.replicas)} replicas, {stage.proxy.lost} answers lost, at rest after {took:.1f} s"
        )


def _bound(call: Callable[..., Awaitable[None]], *given: object) -> Callable[[], Awaitable[None]]:
    return lambda: call(*given)


async def _in_time(begun: float, steps: list[tuple[float, Callable[[], Awaitable[None]]]]) -> None:
    for at, step in steps:
        await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
        await step()


def _calm(stage: Stage) -> None:
    """No fault is left."""
    stage.proxy.mend()
    stage.disk.empty()
    Weather(skew=Weather.read(stage.weather).skew).write(stage.weather)
    for replica in stage.replicas:
        replica.wanted = True
        replica.signal(signal.SIGCONT)


async def _reachable(stage: Stage) -> str:
    await stage.sql("select 1")
    return stage.direct


async def _settle(stage: Stage, db: Database, workload: Workload, ids: list[int]) -> None:
    """Until everything is as it should be; whatever waits for a person is approved."""
    folder = Folder(stage.home / "outside")
    give_up = time.monotonic() + SETTLING
    while True:
        for name in WORLDS:
            try:
                await workload.approve_all(name)
            except DeploydError:
                pass  # decided meanwhile
        wrong = await oracle.at_rest(db, ids)
        wrong += await oracle.leases(db, stage)
        wrong += await oracle.mail(db)
        wrong += await oracle.outside(db, ids, folder)
        if not wrong:
            return
        if time.monotonic() > give_up:
            raise Broken(f"seed {stage.seed}: not at rest after {SETTLING:g} s:\n" + "\n".join(wrong))
        await asyncio.sleep(0.1)


async def _judge(db: Database, subscribers: list[Subscriber]) -> None:
    """What no time can put right. Services may still report how they do, so subscribers get a moment."""
    wrong: list[str] = []
    for subscriber in subscribers:
        world = await worlds.get(db, subscriber.world)
        world_id = await db.pool.fetchval("select world_id from worlds where name = $1", subscriber.world)
        assert world is None or world.world_id == world_id
        wrong += await oracle.numbered(db, world_id)
        give_up = time.monotonic() + 10
        while (missing := await oracle.heard(db, world_id, subscriber)) and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        wrong += missing
    if wrong:
        raise Broken("\n".join(wrong))


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=SECONDS, help="for how long things break")
    arguments.add_argument("--minutes", type=float, default=0.0, help="go on with the next seeds")
    arguments.add_argument("--logs", type=Path, default=None, help="a folder for what the replicas said")
    given = arguments.parse_args()
    logging.disable(logging.ERROR)  # that connections break is the point of it
    give_up = time.monotonic() + given.minutes * 60
    seed, failed = given.seed, 0
    while True:
        try:
            print(asyncio.run(soak(seed, given.seconds, kept=given.logs)), flush=True)
        except Broken as error:
            failed += 1
            print(error, flush=True)
        seed += 1
        if time.monotonic() >= give_up:
            return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
