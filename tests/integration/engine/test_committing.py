"""The group commit and its numbering, on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec import structs

from deployd.engine.birth import birth
from deployd.engine.bus import Bus
from deployd.engine.committer import Committer
from deployd.errors import StoreError
from deployd.model.facts import DeploymentFacts, ServiceFacts, Source
from deployd.model.identifier import new_id
from deployd.model.machine import Transition
from deployd.model.spec import ServiceSpec
from deployd.store import commit, machines, transitions, workers, worlds
from deployd.store.commit import Batch, Birth, Post, Step
from deployd.store.database import Database
from deployd.store.machines import Claimed

FACTS = DeploymentFacts("cart", datetime.now(UTC), "person:ada", ServiceSpec("cart"), Source("/x"))
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SETTLED = ("succeeded", "failed")


async def local(db: Database) -> int:
    world = await worlds.get(db, "local")
    assert world is not None
    return world.world_id


async def born(db: Database, count: int = 1) -> list[UUID]:
    world_id = await local(db)
    births = [birth(world_id, new_id(), FACTS, "person:ada") for _ in range(count)]
    async with db.pool.acquire() as connection:
        await commit.write(connection, Batch(births=list(births)))
    return [one.id for one in births]


async def claimed(db: Database, owner: UUID, limit: int = 100) -> list[Claimed]:
    return await machines.claim(db, owner, ["here"], limit)


def step(one: Claimed, owner: UUID, **changes: object) -> Step:
    made = Step(
        machine=one.machine, owner=owner, trigger="start", to_state="fetching", keep=False, actor="deployd"
    )
    return structs.replace(made, **changes)


async def write(db: Database, *steps: Step) -> list[bool]:
    async with db.pool.acquire() as connection:
        return [one is not None for one in await commit.write(connection, Batch(steps=list(steps)))]


async def history(db: Database) -> list[Transition]:
    return await transitions.read(db, await local(db), 0, EPOCH, 100_000)


async def test_a_birth_is_a_transition_and_due(database: Database) -> None:
    (machine_id,) = await born(database)
    (one,) = await history(database)
    assert (one.seq, one.machine_id, one.from_state, one.to_state, one.trigger) == (
        1,
        machine_id,
        None,
        "queued",
        "create",
    )
    (held,) = await claimed(database, uuid4())
    assert held.machine.id == machine_id
    assert held.machine.fence == 1
    assert held.machine.facts == FACTS
    assert held.remaining is not None
    assert held.remaining > 23 * 3600


async def test_a_birth_that_exists_already_changes_nothing_and_is_no_news(database: Database) -> None:
    world_id = await local(database)
    same = birth(world_id, new_id(), FACTS, "person:ada")
    async with database.pool.acquire() as connection:
        await commit.write(connection, Batch(births=[same, same]))
        await commit.write(connection, Batch(births=[same]))
        service = ServiceFacts("cart")
        one, two = (birth(world_id, new_id(), service, "a", name="cart") for _ in range(2))
        await commit.write(connection, Batch(births=[one, two]))
    assert [x.seq for x in await history(database)] == [1, 2]


async def test_a_held_machine_is_claimed_by_nobody_else(database: Database) -> None:
    await born(database, 3)
    first, second = uuid4(), uuid4()
    both = await asyncio.gather(claimed(database, first), claimed(database, second))
    assert sorted(len(x) for x in both) in ([0, 3], [1, 2])
    assert await claimed(database, uuid4()) == []


async def test_version_fence_and_owner_must_match(database: Database) -> None:
    await born(database)
    owner = uuid4()
    (one,) = await claimed(database, owner)
    stale_version = replace(one, machine=replace(one.machine, version=7))
    stale_fence = replace(one, machine=replace(one.machine, fence=0))
    assert await write(database, step(stale_version, owner)) == [False]
    assert await write(database, step(stale_fence, owner)) == [False]
    assert await write(database, step(one, uuid4())) == [False]
    assert await write(database, step(one, owner)) == [True]
    assert await write(database, step(one, owner)) == [False]
    assert [x.to_state for x in await history(database)] == ["queued", "fetching"]


async def test_what_hangs_on_a_stale_step_does_not_happen(database: Database) -> None:
    await born(database)
    world_id = await local(database)
    owner = uuid4()
    (one,) = await claimed(database, owner)
    async with database.pool.acquire() as connection:
        await commit.write(
            connection, Batch(posts=[Post(world_id, one.machine.id, "cancel", "person:ada", {"x": 1})])
        )
    ((mail,),) = (await machines.held_mail(database, owner)).values()
    assert (mail.trigger, mail.actor, mail.payload) == ("cancel", "person:ada", {"x": 1})
    child: Birth = birth(world_id, new_id(), FACTS, "deployd")
    stale = step(
        replace(one, machine=replace(one.machine, fence=9)),
        owner,
        births=(child,),
        posts=(Post(world_id, one.machine.id, "retry", "deployd"),),
        consumed=(mail.id,),
    )
    assert await write(database, stale) == [False]
    assert await machines.get(database, world_id, child.id) is None
    assert [x.id for x in (await machines.held_mail(database, owner))[world_id, one.machine.id, 1]] == [
        mail.id
    ]
    good = structs.replace(stale, machine=one.machine, keep=True, posts=())
    assert await write(database, good) == [True]
    assert await machines.get(database, world_id, child.id) is not None
    assert await machines.held_mail(database, owner) == {}


async def test_a_machine_is_due_by_its_time_or_by_its_mail(database: Database) -> None:
    await born(database)
    owner = uuid4()
    (one,) = await claimed(database, owner)
    assert await write(database, step(one, owner, due=timedelta(hours=1))) == [True]
    assert await claimed(database, owner) == []
    async with database.pool.acquire() as connection:
        await commit.write(
            connection, Batch(posts=[Post(one.machine.world_id, one.machine.id, "wake", "deployd")])
        )
    (again,) = await claimed(database, owner)
    assert [x.trigger for x in again.mail] == ["wake"]
    stay = step(
        again, owner, trigger=None, to_state="fetching", due=timedelta(), consumed=(again.mail[0].id,)
    )
    assert await write(database, stay) == [True]
    (third,) = await claimed(database, owner)
    assert third.mail == ()
    assert len(await history(database)) == 2  # what moved nothing has no seq


async def test_a_deadline_makes_due_before_the_recheck(database: Database) -> None:
    await born(database)
    owner = uuid4()
    (one,) = await claimed(database, owner)
    late = step(one, owner, due=timedelta(hours=1), deadline=timedelta())
    assert await write(database, late) == [True]
    (due,) = await claimed(database, owner)
    assert due.remaining is not None
    assert due.remaining <= 0


async def test_placed_machines_go_to_workers_of_their_place(database: Database) -> None:
    world_id = await local(database)
    async with database.pool.acquire() as connection:
        placed = birth(world_id, new_id(), FACTS, "a", placement="there")
        await commit.write(connection, Batch(births=[placed]))
        await commit.write(connection, Batch(posts=[Post(world_id, placed.id, "wake", "a")]))
    assert await machines.claim(database, uuid4(), ["here"], 10) == []
    assert len(await machines.claim(database, uuid4(), ["here", "there"], 10)) == 1


async def test_many_committers_number_without_a_gap_and_without_deadlock(database: Database) -> None:
    """Four committers, several worlds in every batch, in different orders; a reader that follows."""
    for name in ("w1", "w2", "w3"):
        await worlds.add(database, name, {})
    ids = [world.world_id for world in await worlds.list_all(database)]
    bus = Bus(database)
    committers = [Committer(database, bus.committed) for _ in range(4)]
    tasks = [asyncio.create_task(one.run()) for one in committers]
    done = asyncio.Event()

    async def follow(world_id: int) -> list[int]:
        seen: list[int] = []
        at = EPOCH
        while True:
            finished = done.is_set()
            more = await transitions.read(database, world_id, seen[-1] if seen else 0, at, 50)
            seen += [one.seq for one in more]
            at = more[-1].at if more else at
            if finished and not more:
                return seen

    async def produce(number: int, committer: Committer) -> None:
        order = ids if number % 2 else ids[::-1]
        for _ in range(25):
            await committer.store(births=tuple(birth(w, new_id(), FACTS, "a") for w in order))

    readers = [asyncio.create_task(follow(world_id)) for world_id in ids]
    await asyncio.gather(*(produce(n, committers[n % 4]) for n in range(12)))
    done.set()
    for seen in await asyncio.gather(*readers):
        assert seen == list(range(1, 12 * 25 + 1))
    for one in committers:
        one.stop()
    await asyncio.gather(*tasks)


async def test_an_outcome_the_database_refuses_does_not_take_its_batch_along(database: Database) -> None:
    world_id = await local(database)
    bus = Bus(database)
    committer = Committer(database, bus.committed)
    good, bad = birth(world_id, new_id(), FACTS, "a"), birth(world_id, new_id(), FACTS, "a")
    results = asyncio.gather(
        committer.store(births=(good,)),
        committer.store(births=(replace(bad, state="nonsense"),)),
        return_exceptions=True,
    )
    task = asyncio.create_task(committer.run())
    first, second = await results
    assert first is None
    assert isinstance(second, StoreError)
    assert await machines.get(database, world_id, good.id) is not None
    committer.stop()
    await task
    with pytest.raises(StoreError, match="stopping"):
        await committer.store(births=(good,))


async def test_a_dead_workers_machines_are_returned(database: Database) -> None:
    await born(database, 2)
    dead, alive = uuid4(), uuid4()
    await workers.add(database, dead, ["here"], "here", 1)
    await workers.add(database, alive, ["here"], "here", 2)
    assert len(await claimed(database, dead, 1)) == 1
    assert len(await claimed(database, alive, 1)) == 1
    await database.pool.execute(
        "update workers set alive_at = now() - interval '1 minute' where id = $1", dead
    )
    assert await workers.bury(database, timedelta(seconds=5)) == [dead]
    assert await workers.beat(database, dead) is False
    assert await workers.beat(database, alive) is True
    assert await machines.release_dead(database) == 1
    (again,) = await claimed(database, alive)
    assert again.machine.fence == 2


# -- forced interleavings


async def locked(dsn: str, sql: str, *args: object) -> tuple[asyncpg.Connection, object]:
    """A second session in an open transaction that has run the statement."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(sql, *args)
    return connection, transaction


async def blocked(db: Database, count: int = 1) -> None:
    """Wait until so many statements wait for a lock."""
    async with asyncio.timeout(30):
        while (
            await db.pool.fetchval(
                "select count(*) from pg_stat_activity"
                " where wait_event_type = 'Lock' and datname = current_database()"
            )
        ) < count:
            await asyncio.sleep(0.005)


async def test_post_against_commit_whichever_is_first(database: Database, dsn: str) -> None:
    """Mail that comes while the outcome is being committed is neither lost nor deleted with it."""
    await born(database)
    owner = uuid4()
    (one,) = await claimed(database, owner)
    world_id = one.machine.world_id
    # The commit is held up at the world's head; the post goes through meanwhile.
    other, transaction = await locked(dsn, "select from world_heads where world_id = $1 for update", world_id)
    committing = asyncio.create_task(write(database, step(one, owner)))
    await blocked(database)
    async with database.pool.acquire() as connection:
        await commit.write(connection, Batch(posts=[Post(world_id, one.machine.id, "cancel", "a")]))
    assert await claimed(database, uuid4()) == []  # still held, as others see it
    await transaction.rollback()  # type: ignore[attr-defined]
    assert await committing == [True]
    await other.close()
    (again,) = await claimed(database, uuid4())
    assert [x.trigger for x in again.mail] == ["cancel"]


async def test_post_uncommitted_while_the_machine_is_let_go(database: Database, dsn: str) -> None:
    """The post's transaction is still open when the outcome lets go: nobody sees it yet, then all do."""
    await born(database)
    owner = uuid4()
    (one,) = await claimed(database, owner)
    other, transaction = await locked(
        dsn,
        "insert into mailbox (world_id, machine_id, trigger, actor) values ($1, $2, 'cancel', 'a')",
        one.machine.world_id,
        one.machine.id,
    )
    assert await write(database, step(one, owner)) == [True]
    assert await claimed(database, uuid4()) == []
    await transaction.commit()  # type: ignore[attr-defined]
    await other.close()
    (again,) = await claimed(database, uuid4())
    assert [x.trigger for x in again.mail] == ["cancel"]


async def test_child_settles_before_the_parent_waits(database: Database) -> None:
    child, parent = await born(database, 2)
    owner = uuid4()
    held = {one.machine.id: one for one in await claimed(database, owner)}
    done = step(held[child], owner, trigger="fail", to_state="failed", settled=True)
    assert await write(database, done) == [True]
    world_id = await local(database)
    assert await machines.wait_for(database, world_id, child, parent, SETTLED) is False
    assert await machines.wait_for(database, world_id, uuid4(), parent, SETTLED) is False


async def test_the_parent_waits_while_the_child_is_being_committed(database: Database, dsn: str) -> None:
    """The child's commit holds its row; the parent's question waits for it, and finds it settled."""
    child, parent = await born(database, 2)
    owner, world_id = uuid4(), await local(database)
    held = {one.machine.id: one for one in await claimed(database, owner)}
    other, transaction = await locked(dsn, "select from world_heads where world_id = $1 for update", world_id)
    done = step(held[child], owner, trigger="fail", to_state="failed", settled=True)
    committing = asyncio.create_task(write(database, done))
    await blocked(database)
    asking = asyncio.create_task(machines.wait_for(database, world_id, child, parent, SETTLED))
    await blocked(database, 2)
    await transaction.rollback()  # type: ignore[attr-defined]
    assert await committing == [True]
    assert await asking is False
    await other.close()


async def test_the_child_is_committed_while_the_parent_is_written_on_it(database: Database, dsn: str) -> None:
    """The parent's question holds the child's row; the child's commit waits for it, and pokes the parent."""
    child, parent = await born(database, 2)
    owner, world_id = uuid4(), await local(database)
    held = {one.machine.id: one for one in await claimed(database, owner)}
    asleep = step(held[parent], owner, trigger=None, to_state="queued", due=timedelta(hours=1))
    other, transaction = await locked(
        dsn,
        "update machines set waiters = array[$3::uuid] where world_id = $1 and id = $2",
        world_id,
        child,
        parent,
    )
    done = step(held[child], owner, trigger="fail", to_state="failed", settled=True)
    committing = asyncio.create_task(write(database, done))
    await blocked(database)
    assert await write(database, asleep) == [True]
    assert await claimed(database, owner) == []
    await transaction.commit()  # type: ignore[attr-defined]
    assert await committing == [True]
    await other.close()
    (poked,) = await claimed(database, owner)
    assert poked.machine.id == parent
    assert [x.trigger for x in poked.mail] == ["wake"]


async def test_the_parent_lets_go_after_the_child_poked_it(database: Database) -> None:
    """Wait written, child settles, and only then the parent commits that it waits: the poke is there."""
    child, parent = await born(database, 2)
    owner, world_id = uuid4(), await local(database)
    held = {one.machine.id: one for one in await claimed(database, owner)}
    assert await machines.wait_for(database, world_id, child, parent, SETTLED) is True
    assert await machines.wait_for(database, world_id, child, parent, SETTLED) is True
    done = step(held[child], owner, trigger="fail", to_state="failed", settled=True)
    assert await write(database, done) == [True]
    asleep = step(held[parent], owner, trigger=None, to_state="queued", due=timedelta(hours=1))
    assert await write(database, asleep) == [True]
    (poked,) = await claimed(database, owner)
    assert (poked.machine.id, len(poked.mail)) == (parent, 1)
