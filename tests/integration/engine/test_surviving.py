"""What the machinery survives: lost hints, lost acknowledgements, being declared dead, a lost database."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deployd.engine import holding, lease
from deployd.engine.acts import ACTS
from deployd.engine.bus import Bus
from deployd.engine.lease import Lease
from deployd.engine.outcome import Act, Outcome
from deployd.errors import LeaseLost, PostgresUnavailable
from deployd.model.facts import DeploymentFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.model.world import Capability
from deployd.store import commit, machines, workers, worlds
from deployd.store.commit import Applied, Batch, Post
from deployd.store.database import Database
from deployd.store.embedded import EmbeddedPostgres
from deployd.store.hints import Hint
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions
from tests.conftest import scratch
from tests.house import ADA, House, context, house

RELEASE = (MachineKind.DEPLOYMENT, "release")


async def serves(home: House, run: str) -> None:
    change = await home.deploy(cart=run)
    await home.until(change.id, "done", seconds=40)
    service = await home.service("cart")
    await home.until(service.id, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.{run}"]
    await home.check_whole()


async def test_every_hint_lost_only_delays(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bus, "_tell", lambda self, hint: None)
    async with house(database, tmp_path) as home:
        await serves(home, "ok")


async def test_acknowledgements_lost_after_the_commit(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second commit is made, and then its connection breaks: nothing happens twice."""
    calls = 0

    async def cut(connection: Any, batch: Batch) -> list[Applied | None]:
        nonlocal calls
        calls += 1
        applied = await write(connection, batch)
        if calls % 2:
            raise PostgresUnavailable("cut")
        return applied

    write = commit.write
    monkeypatch.setattr(commit, "write", cut)
    async with house(database, tmp_path) as home:
        await serves(home, "ok")
        assert calls > 10
        assert len([line for line in home.folder.journal() if line.startswith("made")]) == 1


async def alive(database: Database) -> tuple[UUID, int]:
    """The worker, once there is one: on a busy machine it may be between two ids."""
    while not (there := await workers.alive_on(database, "here")):
        await asyncio.sleep(0.01)
    (one,) = there
    return one


async def test_a_worker_declared_dead_goes_on_under_a_new_id(database: Database, tmp_path: Path) -> None:
    begun = asyncio.Event()
    tries = 0

    async def slow(context: Any, machine: Machine) -> Outcome:
        nonlocal tries
        tries += 1
        if tries == 1:
            begun.set()
            await asyncio.Event().wait()
        return await ACTS[RELEASE](context, machine)

    acts: dict[tuple[MachineKind, str], Act] = {**ACTS, RELEASE: slow}
    async with house(database, tmp_path, acts=acts, lease=timedelta(seconds=1)) as home:
        change = await home.deploy(cart="ok")
        await begun.wait()
        worker, _ = await alive(database)
        await workers.end(database, worker)
        await home.until(change.id, "done")
        successor, pid = await alive(database)
        assert successor != worker
        assert pid == os.getpid()
        assert tries >= 2  # on a busy machine it may be slow once more
        await home.check_whole()


async def test_what_is_held_unknowingly_is_returned(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path) as home:
        change = await home.deploy(cart="ok")
        await home.until(change.id, "done")
        owner = uuid4()
        await workers.add(database, owner, ["here"], "elsewhere", 1)
        service = await home.service("cart")
        while not await database.pool.fetchval(
            "update machines set owner = $1, due_at = null where id = $2 and owner is null returning 1",
            owner,
            service.id,
        ):
            await asyncio.sleep(0.01)
        assert await machines.return_unknown(database, owner, [uuid4()]) == 1
        assert await machines.return_unknown(database, owner, []) == 0


async def test_a_request_that_cannot_be_understood_is_dropped(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path) as home:
        await serves(home, "ok")
        service = await home.service("cart")
        bad = [
            Post(home.world_id, service.id, "deploy", "a", {"deployment_id": "nonsense"}),
            Post(home.world_id, service.id, "nonsense", "a"),
            Post(
                home.world_id, service.id, "rollback", "a", {"release_id": str(uuid4()), "requested_at": "x"}
            ),
        ]
        await home.committer.store(posts=tuple(bad))
        while await database.pool.fetchval("select count(*) from mailbox"):
            await asyncio.sleep(0.01)
        assert (await home.service("cart")).state == "serving"


async def test_an_act_that_fails_in_an_unforeseen_way_is_tried_and_then_errored(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def buggy(context: Any, machine: Machine) -> Outcome:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(holding, "backoff", lambda attempt: timedelta(seconds=0.01))
    async with house(database, tmp_path, acts={**ACTS, (MachineKind.DEPLOYMENT, "build"): buggy}) as home:
        change = await home.deploy(cart="ok")
        await home.until(change.id, "failed")
        (deployment,) = await home.deployments(change.id)
        reason = deployment.facts.reason
        assert reason is not None
        assert (reason.code, reason.fault) == ("INTERNAL", "errored")


async def test_a_hanging_act_ends_at_its_deadline(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path) as home:
        change = await home.deploy(cart="hang")
        while not (made := await home.deployments(change.id)):
            await asyncio.sleep(0.01)
        await home.until(made[0].id, "releasing")
        await database.pool.execute("update machines set deadline_at = now() where id = $1", made[0].id)
        # Whoever takes over sees that its time is over.
        for worker, _ in await workers.alive_on(database, "here"):
            await workers.end(database, worker)
        ended = await home.until(made[0].id, "failed")
        assert isinstance(ended.facts, DeploymentFacts)
        assert ended.facts.reason is not None
        assert ended.facts.reason.code == "DEADLINE_PASSED"
        await home.until(change.id, "failed")


def test_a_lease_ends_before_others_take_over_and_never_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(lease, "_clock", lambda: now)
    held = Lease(timedelta(seconds=5))
    with pytest.raises(LeaseLost):  # nobody has registered it yet: what it claims, others may take
        held.check()
    held.renew(held.now())
    held.check()
    now = 103.9
    held.check()
    sent = held.now()
    now = 104.1  # a pause, counted
    with pytest.raises(LeaseLost):
        held.check()
    held.renew(sent)
    held.check()
    held.renew(100.0)  # an older answer that came late
    held.check()
    held.lose()
    held.renew(now)
    with pytest.raises(LeaseLost):
        held.check()


async def test_a_lost_lease_starts_no_driver_call(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, works=False) as home:
        ctx = context(database, tmp_path, home.folder)
        lost = Lease(timedelta(seconds=5))
        lost.lose()
        ctx.check = lost.check
        deployer = await ctx.deployer(home.world_id, "main")
        service = await ctx.service_ref(home.world_id, uuid4(), "cart")
        for call in (deployer.observe(service), deployer.destroy(service)):
            with pytest.raises(LeaseLost):
                await call
        assert home.folder.journal() == []


async def patient(call: Callable[[], Awaitable[Machine]]) -> Machine:
    """As a client does: try again while the server has no database. The keys make that harmless."""
    while True:
        try:
            return await call()
        except PostgresUnavailable:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_postgres_lost_in_the_middle(number: int) -> None:
    path = scratch("deployd-test-")
    postgres = EmbeddedPostgres(path / "postgres")
    try:
        dsn = await postgres.start()
        keeping = asyncio.create_task(postgres.keep())
        await migrate(dsn)
        async with Database(dsn) as db:
            await worlds.add(db, "local", {"main": Capability("deploy:process")})
            await ensure_partitions(db)
            async with house(db, path) as home:
                changes = []
                for number_ in range(6):
                    run = "ok" if number_ % 2 else "better"
                    changes.append(await patient(functools.partial(home.deploy, f"k{number_}", cart=run)))
                    if number_ == 2:
                        os.kill(int((path / "postgres/data/postmaster.pid").read_text().split()[0]), number)
                for change in changes:
                    await patient(functools.partial(home.until, change.id, "done", "cancelled", seconds=40))
                service = await home.service("cart")
                await home.until(service.id, "serving")
                assert len(home.running(service.id)) == 1
                await home.check_whole()
    finally:
        await postgres.stop()
        await keeping
        shutil.rmtree(path)


async def test_hints_reach_other_processes_and_come_after_the_commit(database: Database) -> None:
    heard: list[Hint] = []
    here, there = Bus(database), Bus(database)
    there.listen(heard.append)
    async with here.running(), there.running():
        while not any(hint.lost for hint in heard):
            await asyncio.sleep(0.01)
        machine_id = uuid4()
        here.committed(Hint(frozenset({7}), frozenset({machine_id})))
        while not any(hint.worlds == {7} and hint.mail == {machine_id} for hint in heard):
            await asyncio.sleep(0.01)
        # So many that they do not fit: told as "look yourself".
        heard.clear()
        here.committed(Hint(mail=frozenset(uuid4() for _ in range(500))))
        while not any(hint.lost for hint in heard):
            await asyncio.sleep(0.01)


async def test_a_request_stored_twice_is_answered_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, tmp_path) as home:
        await serves(home, "ok")
        await serves(home, "better")
        write, cuts = commit.write, 0

        async def cut(connection: Any, batch: Batch) -> list[Applied | None]:
            nonlocal cuts
            applied = await write(connection, batch)
            if any(post.trigger == "rollback" for post in batch.posts) and not cuts:
                cuts += 1
                raise PostgresUnavailable("cut")
            return applied

        monkeypatch.setattr(commit, "write", cut)
        service = await home.operations.rollback(ADA, "local", "cart")
        assert cuts == 1
        while (await home.facts("cart")).serving == service.facts.serving:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        await home.until(service.id, "serving")
        while await database.pool.fetchval("select count(*) from mailbox"):
            await asyncio.sleep(0.01)
        assert len(await machines.list_deployments(database, home.world_id, service.id, 10)) == 3
