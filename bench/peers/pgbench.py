"""pgbench: one transition in each transaction, as a program would write it that does without an engine.

No claim, no lease, no mailbox, no numbering without gaps, no Python: one statement moves a machine and
appends the transition, numbered by a sequence, on tables with no more indexes than that takes. It picks a
machine at random, so that no two clients wait for each other. With NOTIFY in the transaction it also tells
listeners, as queues do that have no other way. Two threads; the best of several numbers of clients counts.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

import asyncpg

from deployd.postgres.engine import find_engine

__all__ = ["CLIENTS", "best", "per_second"]

CLIENTS = (1, 8, 16, 32)
_TABLES = """
create table machines (
    world_id bigint, id bigint, state text not null, version bigint not null default 0,
    facts jsonb not null default '{{}}', updated_at timestamptz not null default now(),
    primary key (world_id, id)
) with (fillfactor = 60);
create table transitions (
    world_id bigint, seq bigserial, at timestamptz not null default now(), machine_id bigint not null,
    trigger text not null, from_state text, to_state text not null, actor text not null,
    primary key (world_id, seq)
);
insert into machines (world_id, id, state) select 1, n, 'queued' from generate_series(1, {machines}) n;
"""
_STEP = r"""\set id random(1, {machines})
with moved as (
    update machines set state = 'next', version = version + 1, updated_at = now()
    where world_id = 1 and id = :id returning world_id, id, state
)
insert into transitions (world_id, machine_id, trigger, to_state, actor)
select world_id, id, 'go', state, 'bench' from moved{notify};
"""
_NOTIFY = " returning pg_notify('moved', world_id::text)"


async def per_second(dsn: str, machines: int, clients: int, seconds: float, *, notify: bool) -> float:
    """Transitions per second. Makes its tables where they are not there. Raises RuntimeError."""
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("select to_regclass('machines')") is None:
            await connection.execute(_TABLES.format(machines=machines))
            await connection.execute("vacuum analyze")
    finally:
        await connection.close()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "step.sql"
        script.write_text(_STEP.format(machines=machines, notify=_NOTIFY if notify else ""))
        process = await asyncio.create_subprocess_exec(
            *(
                find_engine(Path(folder), None) / "bin" / "pgbench",
                "-n",
                "-M",
                "prepared",
                "-c",
                str(clients),
                "-j",
                "2",
            ),
            *("-T", str(max(1, round(seconds))), "-f", script, dsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
    found = re.search(rb"tps = ([\d.]+)", out)
    if process.returncode or found is None:
        raise RuntimeError(f"pgbench failed:\n{error.decode(errors='replace')[-4000:]}")
    return float(found[1])


async def best(dsn: str, machines: int, seconds: float, *, notify: bool) -> tuple[float, int]:
    """Transitions per second at the best number of clients, and that number."""
    return max(
        [(await per_second(dsn, machines, clients, seconds, notify=notify), clients) for clients in CLIENTS]
    )
