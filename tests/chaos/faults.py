"""How each fault of a schedule is brought about on a stage, and undone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg

from tests.chaos.schedule import Fault
from tests.chaos.stage import Replica, Stage
from tests.chaos.weather import KINDS, Weather

__all__ = ["FAULTS", "strike"]

_STEP = """
do $$ begin
    lock table machines, workers, mailbox, world_heads in share row exclusive mode;
    update machines set due_at = due_at - {0}, deadline_at = deadline_at - {0},
                        created_at = created_at - {0}, updated_at = updated_at - {0};
    update workers set alive_at = alive_at - {0}, started_at = started_at - {0}, died_at = died_at - {0};
    update mailbox set sent_at = sent_at - {0};
    update world_heads set at = greatest(at, at - {0});
end $$"""
"""The database's clock goes on by so much, as seen from all that it has written down. Transitions stay, since
readers hold their times as cursors; so a head never goes back before them."""


_REFUSED = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""How a Postgres that is away or going says so."""
_FULL = "No space left on device"


async def strike(stage: Stage, fault: Fault) -> None:
    """Bring it about, and undo it when its time is over."""
    stage.log.append(f"{fault}")
    await FAULTS[fault.kind](stage, fault)


def _chosen(stage: Stage, fault: Fault) -> Replica:
    return stage.replicas[fault.which % len(stage.replicas)]


async def _replica_killed(stage: Stage, fault: Fault) -> None:
    replica = _chosen(stage, fault)
    replica.wanted = False
    replica.signal(signal.SIGKILL)
    await asyncio.sleep(fault.lasts)
    replica.wanted = True


async def _replica_stopped(stage: Stage, fault: Fault) -> None:
    replica = _chosen(stage, fault)
    pid = replica.pid
    replica.signal(signal.SIGSTOP)
    await asyncio.sleep(fault.lasts)
    if replica.pid == pid:
        replica.signal(signal.SIGCONT)


def _postgres(number: int) -> Callable[[Stage, Fault], Awaitable[None]]:
    async def struck(stage: Stage, fault: Fault) -> None:
        pid = stage.postmaster()
        if pid is not None and _is_postgres(pid):
            os.kill(pid, number)

    return struck


def _is_postgres(pid: int) -> bool:
    """The pid file may be older than whoever has that id now."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("postgres")
    except OSError:
        return False


async def _no_connection_left(stage: Stage, fault: Fault) -> None:
    """Somebody else has them all."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    stage.proxy.cut()
    try:
        async with asyncio.timeout(fault.lasts):
            while True:
                try:
                    taken.append(await asyncpg.connect(stage.direct, timeout=5))
                except _REFUSED:
                    await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    finally:
        stage.log.append(f"        took {len(taken)} connections")
        for one in taken:
            one.terminate()


async def _connections_refused(stage: Stage, fault: Fault) -> None:
    stage.proxy.refusing = True
    stage.proxy.cut()
    await asyncio.sleep(fault.lasts)
    stage.proxy.refusing = False


async def _connections_cut(stage: Stage, fault: Fault) -> None:
    stage.proxy.cut()


async def _answers_lost(stage: Stage, fault: Fault) -> None:
    stage.proxy.losing += fault.which


async def _slow(stage: Stage, fault: Fault) -> None:
    stage.proxy.delay = fault.amount
    await asyncio.sleep(fault.lasts)
    stage.proxy.delay = 0.0


async def _disk_full(stage: Stage, fault: Fault) -> None:
    if stage.disk.refusal:
        stage.log.append(f"        no: {stage.disk.refusal}")
        return
    said = stage.home / "postgres/postgres.log"
    before = said.read_text(errors="replace").count(_FULL)
    stage.disk.fill()
    try:
        async with asyncio.timeout(fault.lasts):
            await _use_up(stage)
            await asyncio.sleep(fault.lasts)
    except TimeoutError:
        pass
    stage.disk.empty()
    times = said.read_text(errors="replace").count(_FULL) - before
    stage.log.append(f"        Postgres complained {times} times of a full disk")


async def _use_up(stage: Stage) -> None:
    """What Postgres has in reserve: segments of its log that are there already."""
    try:
        connection = await asyncpg.connect(stage.direct, timeout=5)
        try:
            for _ in range(3):
                await connection.execute(
                    "select pg_logical_emit_message(true, 'chaos', 'x'), pg_switch_wal()"
                )
        finally:
            connection.terminate()
    except _REFUSED:
        pass  # it is full


async def _hints_lost(stage: Stage, fault: Fault) -> None:
    stage.proxy.deaf = True
    await asyncio.sleep(fault.lasts)
    stage.proxy.deaf = False


async def _clock_step(stage: Stage, fault: Fault) -> None:
    await stage.sql(_STEP.format(f"make_interval(secs => {fault.amount})"))
    skew = max(fault.amount, -3.0)
    weather = Weather.read(stage.weather)
    replace(weather, skew=weather.skew + skew).write(stage.weather)


async def _weather(stage: Stage, fault: Fault) -> None:
    kind = KINDS[fault.which]
    replace(Weather.read(stage.weather), kind=kind, rate=fault.amount).write(stage.weather)
    await asyncio.sleep(fault.lasts)
    replace(Weather.read(stage.weather), kind=None, rate=0.0).write(stage.weather)


FAULTS: dict[str, Callable[[Stage, Fault], Awaitable[None]]] = {
    "replica killed": _replica_killed,
    "replica stopped": _replica_stopped,
    "postgres killed": _postgres(signal.SIGKILL),
    "postgres restarted": _postgres(signal.SIGINT),
    "no connection left": _no_connection_left,
    "connections refused": _connections_refused,
    "connections cut": _connections_cut,
    "answers to commits lost": _answers_lost,
    "slow": _slow,
    "disk full": _disk_full,
    "hints lost": _hints_lost,
    "clock step": _clock_step,
    "weather": _weather,
}
