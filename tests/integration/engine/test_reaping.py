"""What dead workers held, and what stopped processes keep locked, goes on: whoever returns it, and when."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from deployd.store import machines, workers
from deployd.store.database import LOST, Database
from deployd.store.machines import Claimed
from deployd.store.queries import QUERIES
from tests.integration.engine.test_committing import blocked, born, claimed, locked


async def test_of_two_reapers_the_late_one_takes_nothing_from_who_claimed_since(
    database: Database, dsn: str
) -> None:
    """A machine was returned, and claimed by a worker that registered after the late reaper had begun."""
    (machine,) = await born(database)
    dead, heir = uuid4(), uuid4()
    assert len(await claimed(database, dead)) == 1  # under an id that nobody registered
    other, transaction = await locked(
        dsn, "update machines set owner = $2, fence = fence + 1 where id = $1", machine, heir
    )
    reaping = asyncio.create_task(machines.release_dead(database))
    await blocked(database)
    await workers.add(database, heir, ["here"], "here", 1)
    await transaction.commit()  # type: ignore[attr-defined]
    await other.close()
    assert await reaping == 0
    assert await database.pool.fetchval("select owner from machines where id = $1", machine) == heir


async def test_a_process_that_takes_no_answer_keeps_no_locks(database: Database, dsn: str) -> None:
    """One that was stopped in the middle of a claim: what it would have got is had by others."""
    ids = await born(database, 40)
    await database.pool.execute(
        "update machines set facts = facts || jsonb_build_object('x', repeat('x', 100000))"
    )
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "deployd"})
    claim = await connection.prepare(QUERIES["claim"])
    transport = connection._transport  # type: ignore[attr-defined]
    transport.pause_reading()  # as a stopped process does
    claiming = asyncio.create_task(claim.fetch(uuid4(), ["here"], 100, []))
    async with asyncio.timeout(30):
        while not await database.pool.fetchval(
            "select exists (select from pg_stat_activity where wait_event = 'ClientWrite'"
            " and datname = current_database())"
        ):
            await asyncio.sleep(0.01)
    assert await claimed(database, uuid4()) == []
    assert await workers.cut_off(database, timedelta(seconds=30)) == 0
    assert await workers.cut_off(database, timedelta()) == 1
    heirs: list[Claimed] = []
    async with asyncio.timeout(30):
        while len(heirs) < len(ids):
            heirs += await claimed(database, uuid4())
    assert {one.machine.id for one in heirs} == set(ids)
    transport.resume_reading()
    with pytest.raises(LOST):
        await claiming
    connection.terminate()
