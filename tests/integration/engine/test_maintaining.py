"""Maintenance against a real database with forged times: what goes, what stays, and two replicas at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from deployd.engine import duties as work
from deployd.engine.context import Driver
from deployd.engine.maintaining import Maintaining
from deployd.errors import Forbidden, InputError
from deployd.model.actor import Actor, Role
from deployd.model.audit import Outcome
from deployd.model.duty import Duty, DutyOutcome
from deployd.model.finding import Level
from deployd.model.identifier import new_id
from deployd.model.retention import Retention
from deployd.sources.trees import Trees
from deployd.store import ageing, audit, duties, partitions, releases, transitions, worlds
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house

OLD = "now() - interval '100 days'"
KEEP = Retention(releases=2)


@pytest.fixture
async def home(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path) as one:
        yield one


def maintaining(one: House, keep: Retention = KEEP, place: str = "here") -> Maintaining:
    async def drivers() -> Sequence[Driver]:
        return []

    return Maintaining(one.db, Trees(one.home / "sources"), place, keep, drivers)


def counted(done: Sequence[Duty]) -> dict[str, int]:
    return {each.what: each.number for one in done for each in one.counted if each.number}


async def age(one: House, *kinds: str) -> None:
    """What has ended of these kinds did so long ago, in the order in which it did."""
    await one.db.pool.execute(
        f"update machines set created_at = created_at - interval '100 days', updated_at = {OLD}"
        " where kind = any($1::text[])",
        list(kinds),
    )
    await one.db.pool.execute(
        "update releases set created_at = created_at - interval '100 days'"
        " where created_at > now() - interval '9 days'"
    )


async def deployed(one: House, number: int) -> list[UUID]:
    """So many deployments of hello, one after the other: their ids."""
    made = []
    for _ in range(number):
        change = await one.deploy(hello=f"serve {new_id()}")
        await one.until(change.id, "done")
        made += [each.id for each in await one.deployments(change.id)]
    return made


async def test_what_ended_goes_and_what_is_needed_stays(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CHANGES_KEPT", 1)
    made = await deployed(home, 6)
    service = await home.service("hello")
    numbers = {one.id: one.number for one in await releases.list_of(home.db, home.world_id, service.id, 99)}
    held = next(id_ for id_, number in numbers.items() if number == 2)
    hold = f'[{{"by": "x", "at": "2026-01-01T00:00:00Z", "note": "", "release_id": "{held}", "number": 2}}]'
    async with asyncio.timeout(30):
        while (
            await home.db.pool.execute(
                "update machines set facts = jsonb_set(facts, '{holds}', $2::text::jsonb),"
                " version = version + 1 where id = $1 and owner is null",  # who acts on it would undo this
                *(service.id, hold),
            )
            != "UPDATE 1"
        ):
            await asyncio.sleep(0.01)
    upkeep = maintaining(home)
    assert counted(await upkeep.maintain(ADA)) == {}, "nothing is old"
    await age(home, "deployment", "change")
    # Young, though it ended long before those that stay by number.
    await home.db.pool.execute("update machines set updated_at = now() where id = $1", made[1])

    said = counted(await upkeep.maintain(ADA, dry_run=True))
    assert said == {"deployments": 3}, "what they alone refer to goes after them"
    assert len(await home.db.pool.fetch("select from machines where kind = 'deployment'")) == 6
    done = counted(await upkeep.maintain(ADA))
    assert done == {"deployments": 3, "changes": 3, "releases": 1}
    there = {
        row["id"] for row in await home.db.pool.fetch("select id from machines where kind = 'deployment'")
    }
    assert there == {made[1], made[4], made[5]}
    left = {one.number for one in await releases.list_of(home.db, home.world_id, service.id, 99)}
    assert left == {1, 2, 4, 5, 6}, "the newest two, the held one, and what deployments made or would restore"
    changes = await home.db.pool.fetch("select id from machines where kind = 'change'")
    assert len(changes) == 3, "a change stays as long as a deployment of it"
    assert counted(await upkeep.maintain(ADA)) == {}

    # What is left works as before: going back to the release before, and on again.
    back = await home.operations.rollback(ADA, "local", "hello")
    async with asyncio.timeout(20):
        while (await home.facts("hello")).serving != next(k for k, n in numbers.items() if n == 5):
            await asyncio.sleep(0.01)
    assert back.id == service.id
    await deployed(home, 1)
    assert max(one.number for one in await releases.list_of(home.db, home.world_id, service.id, 99)) == 7


async def test_a_name_that_comes_again_is_never_one_that_was_forgotten(home: House) -> None:
    seen: list[UUID] = []
    for _ in range(3):
        [made] = await deployed(home, 1)
        service = await home.service("hello")
        assert service.id not in seen
        seen.append(service.id)
        await home.operations.retire(ADA, "local", "hello")
        await home.until(service.id, "retired")
        assert deployment_facts(await home.get(made)).service == "hello"
        # Of two that ended one is forgotten, at the second time: their number has to count both.
        if len(seen) != 1:
            continue
        await age(home, "deployment", "change", "service")
        done = counted(await maintaining(home, Retention()).maintain(ADA))
        assert done["services and resources"] == 1
        assert done["releases"] == done["deployments"] == 1
    assert len(set(seen)) == 3


async def test_months_go_as_a_whole_and_commits_do_not_wait(
    home: House, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_TRIES", 3)
    now = datetime.now(UTC)
    old = now - timedelta(days=200)
    await partitions.ensure_partitions(home.db, old)
    await deployed(home, 1)
    await home.db.pool.execute("update transitions set at = $1 where seq <= 3", old)
    await home.db.pool.execute(
        "insert into audit (world_id, at, id, phase, actor, action) values (1, $1, $2, 'asked', 'x', 'y')",
        old,
        new_id(),
    )
    upkeep = maintaining(home, Retention(audit=timedelta(days=100)))
    reader = await asyncpg.connect(dsn)
    try:
        async with reader.transaction():
            await reader.execute("select count(*) from transitions; select count(*) from audit")
            trying = asyncio.create_task(upkeep.maintain(ADA, ["transitions", "audit"]))
            await deployed(home, 1)  # commits go on while somebody reads and maintenance waits for that
            assert counted(await trying) == {}
    finally:
        await reader.close()
    said = counted(await upkeep.maintain(ADA, ["transitions", "audit"], dry_run=True))
    done = counted(await upkeep.maintain(ADA, ["transitions", "audit"]))
    assert said == done
    assert done["months of transitions"] >= 1 <= done["months of the audit log"]
    assert await worlds.horizon(home.db, home.world_id) == 3
    assert await transitions.read(home.db, home.world_id, 0, datetime(1970, 1, 1, tzinfo=UTC), 3)
    world = await worlds.get(home.db, "system")
    assert world is not None
    await audit.add(home.db, world.world_id, new_id(), Outcome.DONE, "x", "y")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await home.db.pool.execute("delete from audit")


async def test_replicas_share_the_schedule(home: House) -> None:
    ours, theirs = maintaining(home), maintaining(home, place="there")
    await asyncio.gather(ours.plan(), theirs.plan())
    assert [await ours.do_due(), await theirs.do_due()] == [[], []], "nothing is due at once"
    await home.db.pool.execute("update duties set due_at = now()")
    both = await asyncio.gather(ours.do_due(), theirs.do_due())
    names = sorted(one.name for done in both for one in done)
    hosted = [one.name for one in work.DUTIES.values() if one.hosted]
    assert names == sorted([*work.DUTIES, *hosted]), "each once, and what is of a host once for each host"
    known = await ours.duties(ADA)
    assert all(one.outcome is DutyOutcome.DONE and one.last_at and not one.busy for one in known)
    assert {one.place for one in known} == {None, "here", "there"}

    # One that died at a duty is followed when its time is over; one that is at it is not disturbed.
    await home.db.pool.execute("update duties set due_at = now() where name = 'sweep'")
    assert await duties.take(home.db, "sweep", "", timedelta(minutes=5))
    assert await ours.do_due() == []
    [asked] = await ours.maintain(ADA, ["sweep"])
    assert (asked.outcome, asked.summary) == (DutyOutcome.UNFINISHED, "another one is at it")
    await home.db.pool.execute("update duties set busy_until = now() where name = 'sweep'")
    assert [one.name for one in await ours.do_due()] == ["sweep"]


async def test_a_server_that_stops_leaves_its_duty_to_others(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep, at_it = maintaining(home), asyncio.Event()

    async def hangs(_: work.Work) -> None:
        at_it.set()
        await asyncio.sleep(60)

    monkeypatch.setitem(work.DUTIES, "sweep", work.Spec("sweep", "x", timedelta(hours=1), hangs))
    await upkeep.plan()
    await home.db.pool.execute("update duties set due_at = now() where name = 'sweep'")
    running = asyncio.create_task(upkeep.run())
    async with asyncio.timeout(30):
        await at_it.wait()
        assert not await duties.take(home.db, "sweep", "", timedelta(minutes=1))
        running.cancel()
        while not await duties.take(home.db, "sweep", "", timedelta(minutes=1)):
            await asyncio.sleep(0.01)


async def test_a_duty_that_fails_says_so(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = maintaining(home)

    async def breaks(_: work.Work) -> None:
        raise OSError("the disk is full")

    assert (await ageing.maintenance(home.db)).level is Level.OK
    broken = work.Spec("sweep", "x", timedelta(hours=1), breaks)
    monkeypatch.setitem(work.DUTIES, "sweep", broken)
    [done] = await upkeep.maintain(ADA, ["sweep"])
    assert (done.outcome, done.summary) == (DutyOutcome.FAILED, "OSError: the disk is full")
    found = await ageing.maintenance(home.db)
    assert (found.level, found.summary) == (Level.WARNING, "sweep failed")
    assert found.evidence == "sweep: OSError: the disk is full"
    await home.db.pool.execute("update duties set outcome = 'done', due_at = now() - interval '1 day'")
    late = await ageing.maintenance(home.db)
    assert late.summary.startswith("attempts was not done in time, and ")
    await home.db.pool.execute("update duties set due_at = now() + interval '1 day'")
    assert (await ageing.maintenance(home.db)).level is Level.OK

    with pytest.raises(InputError, match="no duty 'swep'"):
        await upkeep.maintain(ADA, ["swep"])
    with pytest.raises(Forbidden):
        await upkeep.maintain(Actor("person:o", Role.OPERATOR), ["sweep"])
    with pytest.raises(Forbidden):
        await upkeep.duties(Actor("person:d", Role.DEVELOPER))


async def test_small_things_go_in_their_time(home: House) -> None:
    pool = home.db.pool
    gone = new_id()
    await worlds.add(home.db, "preview", {}, ephemeral=True)
    await pool.execute("update worlds set retired_at = now() - interval '100 days' where name = 'preview'")
    await pool.execute(
        "insert into mailbox (world_id, machine_id, trigger, actor, sent_at)"
        f" values (2, $1, 'retry', 'x', {OLD}), (2, $1, 'retry', 'x', now())",
        gone,
    )
    await pool.execute(
        "insert into idempotency_keys (world_id, actor, key, digest, id, created_at)"
        f" values (1, 'a', 'old', '', $1, {OLD}), (1, 'a', 'new', '', $1, now())",
        gone,
    )
    await pool.execute(
        f"insert into workers (id, placements, host, pid, died_at) values ($1, '{{x}}', 'x', 1, {OLD})", gone
    )
    await pool.execute(
        "insert into tokens (world_id, id, name, role, sha256, revoked_at)"
        " values (1, $1, 'ci', 'admin', 'x', now() - interval '401 days'),"
        " (1, gen_random_uuid(), 'cd', 'admin', 'y', null)",
        gone,
    )
    await duties.plan(home.db, [("sources", "gone", timedelta(days=-40))])
    done = counted(await maintaining(home).maintain(ADA))
    assert done == {
        "lost requests": 1,
        "idempotency keys": 1,
        "workers": 1,
        "tokens": 1,
        "duties of hosts": 1,
        "worlds": 1,
    }
    assert await worlds.get(home.db, "preview") is None
