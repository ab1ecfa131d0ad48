"""Nothing stays stuck: hanging drivers, full disks, clocks that are set back, ends that come in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deployd.drivers.api import Observation, ServiceRef
from deployd.engine import calling
from deployd.engine.acts import ACTS
from deployd.engine.birth import birth
from deployd.engine.outcome import Outcome
from deployd.errors import PostgresUnavailable
from deployd.model.facts import ChangeFacts, DeploymentFacts, ResourceFacts, ServiceFacts, Source, Turn
from deployd.model.machine import Machine
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store import commit, workers
from deployd.store.commit import Batch, Post
from deployd.store.database import Database
from tests.house import ADA, house
from tests.standin import StandinDeployer


async def test_a_driver_that_hangs_holds_nothing_up(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that is watched over has no deadline: each call of a driver has a limit of its own."""
    observe = StandinDeployer.observe

    async def hanging(self: StandinDeployer, service: ServiceRef) -> Observation:
        if self.folder.is_marked("mute"):
            await asyncio.Event().wait()
        return await observe(self, service)

    monkeypatch.setattr(StandinDeployer, "observe", hanging)
    monkeypatch.setattr(calling, "LIMIT", 0.2)
    async with house(database, tmp_path) as home:
        await home.until((await home.deploy(cart="ok")).id, "done")
        home.folder.mark("mute")
        service = await home.service("cart")
        await home.committer.store(posts=(Post(home.world_id, service.id, "wake", "a"),))
        while (reason := (await home.facts("cart")).reason) is None:
            await asyncio.sleep(0.01)
        assert reason.code == "RETRYABLE"
        assert "did not answer within 0.2 seconds when it was asked to observe" in reason.summary
        (home.folder.root / "mark-mute").unlink()
        while (await home.facts("cart")).reason is not None:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("notices", ["beat", "bury", "add"])
async def test_a_clock_that_is_set_back_delays_nothing(
    database: Database, tmp_path: Path, notices: str
) -> None:
    """Seen from what is written down, that is as if all of it came from the future."""
    async with house(database, tmp_path, works=False) as home:
        made = birth(home.world_id, uuid4(), ServiceFacts("cart"), "a", name="cart")
        await home.committer.store(births=(made,))
        mine, gone = uuid4(), uuid4()
        for worker in (mine, gone):
            await workers.add(database, worker, ["here"], "here", 1)
        hour = "interval '1 h'"
        await database.pool.execute(
            f"update machines set due_at = now() + interval '5 s' + {hour}, updated_at = now() + {hour},"
            f" deadline_at = now() + interval '9 s' + {hour}"
        )
        await database.pool.execute(f"update workers set alive_at = now() + {hour}")
        match notices:
            case "beat":
                assert await workers.beat(database, mine)
            case "bury":
                assert await workers.bury(database, timedelta(seconds=5)) == []
                assert set(await workers.bury(database, timedelta(seconds=0))) == {mine, gone}
            case "add":
                await workers.add(database, uuid4(), ["here"], "here", 1)
        row = await database.pool.fetchrow(
            "select due_at < now() + interval '6 s' as due,"
            " deadline_at < now() + interval '10 s' as deadline, updated_at <= now() as updated from machines"
        )
        assert dict(row or {}) == {"due": True, "deadline": True, "updated": True}


async def test_a_full_disk_is_waited_for(database: Database, tmp_path: Path) -> None:
    """Whatever is to be committed meanwhile is neither refused nor lost."""
    async with house(database, tmp_path) as home:
        await home.until((await home.deploy("1", cart="ok")).id, "done")
        await database.pool.execute("""
            create function full_disk() returns trigger language plpgsql as $$
            begin raise exception 'could not extend file: No space left' using errcode = '53100'; end $$;
            create trigger full_disk before update on world_heads execute function full_disk()""")
        asked = asyncio.create_task(home.deploy("2", cart="better"))
        born = birth(home.world_id, uuid4(), ServiceFacts("web"), "a", name="web")
        with pytest.raises(PostgresUnavailable, match="has run out of something"):
            async with database.pool.acquire() as connection:
                await commit.write(connection, Batch(births=[born]))
        assert not asked.done()
        await database.pool.execute("drop trigger full_disk on world_heads")
        await home.until((await asked).id, "done")
        await home.check_whole()


async def test_a_service_that_ends_tells_whom_it_gives_no_turn_to(database: Database, tmp_path: Path) -> None:
    """A deployment that came while the retirement was but wished for does not wait for a turn for ever."""
    undo = (MachineKind.DEPLOYMENT, "undo")
    free = asyncio.Event()

    async def held(context: Any, machine: Machine) -> Outcome:
        await free.wait()
        return await ACTS[undo](context, machine)

    async with house(database, tmp_path, acts={**ACTS, undo: held}) as home:
        first = await home.deploy("1", cart="slow")
        while not (made := await home.deployments(first.id)):
            await asyncio.sleep(0.01)
        await home.until(made[0].id, "verifying")
        service = await home.operations.retire(ADA, home.world, "cart")
        await home.until(made[0].id, "cancelling")
        second = await home.deploy("2", cart="ok")
        while (await home.facts("cart")).next is None:
            await asyncio.sleep(0.01)
        free.set()
        ended = await home.until(service.id, "retired")
        assert isinstance(ended.facts, ServiceFacts)
        assert ended.facts.next is None
        failed = await home.until(second.id, "failed")
        assert isinstance(failed.facts, ChangeFacts)
        assert failed.facts.reason is not None
        assert "service cart is retired" in failed.facts.reason.summary
        await home.check_whole()


async def test_what_never_came_to_be_gets_no_mail(database: Database, tmp_path: Path) -> None:
    """A deployment that ended between asking for resources and making them: nobody would ever read it."""
    async with house(database, tmp_path, works=False) as home:
        service_id, deployment_id, there = uuid4(), uuid4(), uuid4()
        now = datetime.now(UTC)
        asked = DeploymentFacts(
            "cart", now, "a", ServiceSpec("cart"), Source("/x"), resources=(there, uuid4())
        )
        turned = ServiceFacts("cart", current=Turn(deployment_id, now))
        births = (
            birth(home.world_id, there, ResourceFacts("db", "postgres", "data"), "a", name="db"),
            replace(birth(home.world_id, service_id, turned, "a", name="cart"), state="deploying"),
            replace(birth(home.world_id, deployment_id, asked, "a"), state="failed"),
        )
        await home.committer.store(births=births)
        service = await home.get(service_id)
        outcome = await ACTS[MachineKind.SERVICE, "follow_deployment"](home.context, service)
        assert [post.machine_id for post in outcome.posts] == [there]
