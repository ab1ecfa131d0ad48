"""Limits: so many machines of a world at once for each capability, in turn, and nobody stuck behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deployd.engine.explaining import explain
from deployd.model.machine import Machine
from deployd.model.spec import RolloutSpec
from deployd.model.world import Capability
from deployd.store import machines, turns, workers, worlds
from deployd.store.commit import Post, Step
from deployd.store.database import Database
from deployd.store.strangers import Strangers
from tests.house import ADA, House, house
from tests.integration.engine.test_committing import blocked, locked


async def limit(home: House, to: int | None) -> None:
    world = await worlds.get(home.db, home.world)
    assert world is not None
    assert await worlds.update(home.db, world, {"main": Capability("deploy:process", limit=to)}, {})
    home.context._read_at = float("-inf")  # no need to wait until it is read anew


async def roll_out(home: House, *runs: str) -> list[Machine]:
    """One deployment of a service of its own for each."""
    return [await home.roll_out(f"s{number}-{run}", run, RolloutSpec()) for number, run in enumerate(runs)]


async def columns(home: House, machine: Machine, columns: str) -> tuple[object, ...]:
    row = await home.db.pool.fetchrow(f"select {columns} from machines where id = $1", machine.id)
    assert row is not None
    return tuple(row)


async def until_waiting(home: House, machine: Machine) -> None:
    async with asyncio.timeout(30):
        while await columns(home, machine, "limited_by, turn_at <= now(), owner") != ("main", True, None):
            await asyncio.sleep(0.01)


async def until_held(home: House, machine: Machine, state: str) -> None:
    async with asyncio.timeout(30):
        while await columns(home, machine, "state, owner is not null") != (state, True):
            await asyncio.sleep(0.01)


async def test_one_at_a_time_and_what_waits_says_so_is_cancelled_and_goes_on(
    database: Database, tmp_path: Path
) -> None:
    async with house(database, tmp_path) as home:
        await limit(home, 1)
        (first,) = await roll_out(home, "hang")
        await until_held(home, first, "releasing")
        second, third = (await roll_out(home, "hang", "ok", "ok"))[1:]
        await until_waiting(home, second)
        await until_waiting(home, third)
        assert (await home.get(second.id)).state == "building"

        found = await explain(database, await home.get(second.id))
        assert found.next == "waits for a turn: main of world local does 1 at a time"
        assert found.steps[-1].summary == "deployment of s1-ok: building, waits for a turn of main"
        assert found.deadline_at is None  # the time of waiting does not count

        # Its deadline passes meanwhile, and mail that asks for nothing comes: both change nothing, and it
        # keeps its place. A cancel gets through.
        await database.pool.execute(
            "update machines set deadline_at = turn_at + interval '0.5 s', attempt = 2 where id = $1",
            third.id,
        )
        before = await columns(home, third, "turn_at, attempt")
        fence = (await home.get(third.id)).fence
        await home.committer.store(posts=(Post(home.world_id, third.id, "wake", "deployd"),))
        async with asyncio.timeout(30):
            while (await home.get(third.id)).fence == fence:
                await asyncio.sleep(0.01)
        await until_waiting(home, third)
        assert await columns(home, third, "turn_at, attempt") == before
        await home.operations.cancel(ADA, second.id)
        assert (await home.until(second.id, "cancelled")).state == "cancelled"

        # Turns are had in order; the first one ends as it should, and the third one comes through.
        async with asyncio.timeout(30):
            while await columns(home, third, "deadline_at < now() - interval '0.1 s'") != (True,):
                await asyncio.sleep(0.02)
        await home.operations.cancel(ADA, first.id)
        await home.until(first.id, "cancelled")
        await home.until(third.id, "succeeded")
        await home.check_whole()


async def test_a_limit_counts_at_once_raised_removed_and_put_on_what_waits_already(
    database: Database, tmp_path: Path
) -> None:
    async with house(database, tmp_path) as home:
        await limit(home, 2)
        made = await roll_out(home, *["hang"] * 5)

        async def at_work() -> int:
            return int(
                await database.pool.fetchval(
                    "select count(*) from machines where state = 'releasing' and owner is not null"
                )
            )

        async def until_at_work(wanted: int) -> None:
            async with asyncio.timeout(30):
                while await at_work() != wanted:
                    await asyncio.sleep(0.01)

        await until_at_work(2)
        await limit(home, 4)
        await until_at_work(4)
        await limit(home, 1)
        for one in made[:3]:
            await home.operations.cancel(ADA, one.id)
        await limit(home, None)
        for one in made[:3]:
            await home.until(one.id, "cancelled")
        await until_at_work(2)
        for one in made[3:]:
            await home.operations.cancel(ADA, one.id)
            await home.until(one.id, "cancelled")
        assert await turns.waiting(database, ["here"]) == []
        await home.check_whole()


async def waiting_in(home: House, count: int, placement: str | None = "here") -> list[Machine]:
    """Deployments that wait for a turn since one after the other."""
    made = await roll_out(home, *["ok"] * count)
    for age, one in enumerate(reversed(made)):
        await home.db.pool.execute(
            "update machines set state = 'releasing', limited_by = 'main', due_at = null, placement = $3,"
            " turn_at = now() - $2::int * interval '1 min' where id = $1",
            *(one.id, age + 1, placement),
        )
    return made


async def take(home: House, worker: object, placements: Sequence[str], most: int = 100) -> set[object]:
    taken = await turns.take(
        home.db,
        worker,  # type: ignore[arg-type]
        placements,
        home.world_id,
        "main",
        most,
        Strangers(),
    )
    assert all(one.turn and one.limited_by == "main" for one in taken)
    return {one.machine.id for one in taken}


async def test_ten_workers_at_once_take_no_more_than_the_limit(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 3)
        made = await waiting_in(home, 20, None)
        owners = [uuid4() for _ in range(10)]
        taken = await asyncio.gather(*(take(home, owner, ["here"]) for owner in owners))
        assert sum(map(len, taken)) == 3
        assert set.union(*taken) == {one.id for one in made[:3]}  # who waits longest
        assert await take(home, owners[0], ["here"]) == set()
        # One that is held for its mail only has no turn, and takes nobody's.
        await home.committer.store(posts=(Post(home.world_id, made[3].id, "wake", "deployd"),))
        claimed = await machines.claim(database, owners[0], ["here"], 100)
        (mailed,) = (one for one in claimed if one.limited_by is not None)
        assert (mailed.machine.id, mailed.limited_by, mailed.turn) == (made[3].id, "main", False)
        await database.pool.execute(
            "update machines set owner = null, turn_at = now() where id = $1", made[0].id
        )
        assert await take(home, owners[1], ["here"]) == {made[4].id}


async def test_who_counts_waits_for_who_counted_before(database: Database, dsn: str, tmp_path: Path) -> None:
    """What another one has taken, and not committed yet, is not free."""
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 2)
        await waiting_in(home, 6, None)
        other, transaction = await locked(
            dsn, "select take_turns($1, '{}', $2, 'main', 100)", uuid4(), home.world_id
        )
        counting = asyncio.create_task(take(home, uuid4(), ["here"]))
        await blocked(database)
        await transaction.commit()  # type: ignore[attr-defined]
        assert await counting == set()
        await other.close()


async def test_who_frees_turns_cannot_keep_them_from_another_place(
    database: Database, tmp_path: Path
) -> None:
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 1)
        there, here = await waiting_in(home, 2, "here")
        await database.pool.execute("update machines set placement = 'there' where id = $1", there.id)
        one, other = uuid4(), uuid4()
        await workers.add(database, one, ["here"], "here", 1)
        await workers.add(database, other, ["there"], "there", 1)
        assert await take(home, one, ["here"]) == set()
        await workers.end(database, other)
        assert await take(home, one, ["here"]) == {here.id}  # but nobody waits for a place without a worker


async def test_a_dead_workers_turn_is_had_by_the_next(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 1)
        first, second = await waiting_in(home, 2)
        dead, alive = uuid4(), uuid4()
        await workers.add(database, dead, ["here"], "here", 1)
        await workers.add(database, alive, ["here"], "here", 2)
        assert await take(home, dead, ["here"]) == {first.id}
        assert await take(home, alive, ["here"]) == set()
        await workers.end(database, dead)
        assert await machines.release_dead(database) == 1
        assert await take(home, alive, ["here"]) == {second.id}  # the first one queues again
        assert await columns(home, first, "limited_by, due_at, turn_at is not null") == ("main", None, True)


async def test_the_time_of_waiting_is_added_to_the_deadline(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 1)
        (one,) = await waiting_in(home, 1, None)
        await database.pool.execute(
            "update machines set turn_at = now() - interval '1 h', deadline_at = now() - interval '10 s'"
            " where id = $1",
            one.id,
        )
        ids = await take(home, uuid4(), ["here"])
        assert ids == {one.id}
        (left,) = await columns(home, one, "extract(epoch from deadline_at - now())::float8")
        assert isinstance(left, float)
        assert left == pytest.approx(3590, abs=60)


async def test_a_clock_that_is_set_back_delays_no_turn(database: Database, tmp_path: Path) -> None:
    """Seen from what is written down, that is as if they waited from an hour from now on."""
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 1)
        first, _ = await waiting_in(home, 2)
        await database.pool.execute(
            "update machines set turn_at = turn_at + interval '1 h', updated_at = now() + interval '1 h'"
        )
        assert await take(home, uuid4(), ["here"]) == set()
        await workers.add(database, uuid4(), ["here"], "here", 1)
        assert await take(home, uuid4(), ["here"]) == {first.id}


async def test_who_is_cancelled_while_it_waits_has_no_more_time_than_others(
    database: Database, tmp_path: Path
) -> None:
    async with house(database, tmp_path, works=False) as home:
        await limit(home, 1)
        (one,) = await waiting_in(home, 1, None)
        await database.pool.execute(
            "update machines set turn_at = now() - interval '1 h' where id = $1", one.id
        )
        await home.committer.store(posts=(Post(home.world_id, one.id, "wake", "deployd"),))
        owner = uuid4()
        (held,) = (held for held in await machines.claim(database, owner, ["here"], 100) if held.limited_by)
        moves = Step(
            *(held.machine, owner, "cancel", "cancelling"), keep=False, actor="deployd",
            due=timedelta(), deadline=timedelta(minutes=5), limited_by="main",
        )  # fmt: skip
        assert await home.committer.step(moves) is not None
        assert await take(home, owner, ["here"]) == {one.id}  # at once: it kept its place
        (left,) = await columns(home, one, "extract(epoch from deadline_at - now())::float8")
        assert left == pytest.approx(300, abs=60)
