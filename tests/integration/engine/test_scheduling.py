"""A service with a schedule: nothing of it stays up; its runs come when they are due, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployd.errors import Conflict
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.model.state import Health
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, house
from tests.integration.engine.described import describe

RARE = "0 3 29 2 *"
NOW = timedelta()


async def served(home: House, run: str = "ok") -> Machine:
    await home.until((await home.deploy(job=run)).id, "done")
    return await home.until((await home.service("job")).id, "serving")


async def until(home: House, wanted: Callable[[ServiceFacts], object]) -> ServiceFacts:
    try:
        async with asyncio.timeout(30):
            while not wanted(facts := await home.facts("job")):
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"still {await home.facts('job')}") from None
    return facts


async def due(home: House, ago: timedelta = NOW) -> None:
    """Make its next run due since then."""
    facts = await until(home, lambda facts: facts.next_run_at)
    assert facts.next_run_at is not None
    service = await home.service("job")
    at = (datetime.now(UTC) - ago).isoformat()
    async with asyncio.timeout(30):
        while (
            await home.db.pool.execute(
                "update machines set facts = jsonb_set(facts, '{next_run_at}', to_jsonb($3::text)),"
                " version = version + 1 where world_id = $1 and id = $2 and owner is null",
                home.world_id,
                service.id,
                at,
            )
            != "UPDATE 1"
        ):
            await asyncio.sleep(0.005)
    await home.committer.store(posts=(Post(home.world_id, service.id, "wake", "person:ada"),))


def runs(home: House) -> list[str]:
    return [line for line in home.folder.journal() if line.startswith("made") and line.endswith(" task")]


async def codes(home: House) -> list[str]:
    """Of what was told of the service while it served."""
    return [one.reason.code for one in await home.history() if one.trigger == "report" and one.reason]


async def test_deployed_it_waits_for_its_time(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": "0 3 * * *"})
    async with house(database, tmp_path) as home:
        service = await served(home)
        facts = await until(home, lambda facts: facts.next_run_at)
        assert facts.next_run_at is not None
        assert NOW < facts.next_run_at - datetime.now(UTC) <= timedelta(days=1)
        assert (facts.next_run_at.hour, facts.next_run_at.minute) == (3, 0)
        assert (facts.health, facts.address, facts.run) == (Health.HEALTHY, None, None)
        assert home.running(service.id) == []
        assert runs(home) == []


async def test_it_runs_when_it_is_due(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        service = await served(home)
        await due(home)
        facts = await until(home, lambda facts: facts.last_run and facts.run is None)
        assert facts.last_run is not None
        assert facts.last_run.reason is not None
        assert facts.last_run.reason.code == "RUN_SUCCEEDED"
        assert facts.last_run.release_id == facts.serving
        assert facts.next_run_at is not None
        assert facts.next_run_at > datetime.now(UTC)
        assert len(runs(home)) == 1
        assert await codes(home) == ["RUN_SUCCEEDED"]
        assert (await home.get(service.id)).state == "serving"
        await home.check_whole()


async def test_after_a_downtime_only_the_latest_is_made_up_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": "0 */6 * * *"})
    async with house(database, tmp_path) as home:
        await served(home)
        await due(home, timedelta(days=400))
        await until(home, lambda facts: facts.last_run)
    async with house(database, tmp_path) as home:
        facts = await until(home, lambda facts: facts.run is None)
        assert facts.next_run_at is not None
        assert facts.next_run_at > datetime.now(UTC)
        assert len(runs(home)) == 1


async def test_never_two_at_a_time_and_what_is_skipped_is_told(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        await served(home, "slow")
        await due(home)
        first = await until(home, lambda facts: facts.run)
        await due(home)
        async with asyncio.timeout(30):
            while "RUN_SKIPPED" not in await codes(home):
                await asyncio.sleep(0.01)
        assert (await home.facts("job")).run == first.run
        (home.folder.root / "go").touch()
        await until(home, lambda facts: facts.last_run)
        assert len(runs(home)) == 1
        assert await codes(home) == ["RUN_SKIPPED", "RUN_SUCCEEDED"]


async def test_a_failed_run_degrades_it_until_one_succeeds(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        await served(home, "broken")
        await due(home)
        facts = await until(home, lambda facts: facts.last_run)
        assert facts.health is Health.DEGRADED
        assert facts.reason is not None
        assert (facts.reason.code, facts.reason.evidence) == ("TASK_FAILED", "no table")
        await home.operations.run(ADA, "local", "job")
        facts = await until(home, lambda facts: facts.run is None and len(runs(home)) == 2)
        assert facts.health is Health.DEGRADED
        (home.folder.root / "mended").touch()
        await home.operations.run(ADA, "local", "job")
        facts = await until(home, lambda facts: facts.health is Health.HEALTHY)
        assert facts.reason is None


async def test_now(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        service = await served(home, "slow")
        planned = (await until(home, lambda facts: facts.next_run_at)).next_run_at
        await home.operations.run(ADA, "local", "job")
        await until(home, lambda facts: facts.run)
        with pytest.raises(Conflict, match="runs already"):
            await home.operations.run(ADA, "local", "job")
        (home.folder.root / "go").touch()
        facts = await until(home, lambda facts: facts.last_run)
        assert facts.next_run_at == planned
        await home.operations.run(ADA, "local", "job")
        await until(home, lambda facts: len(runs(home)) == 2 and facts.run is None)
        await home.operations.suspend(ADA, "local", "job")
        await home.until(service.id, "suspended")
        with pytest.raises(Conflict, match="suspended"):
            await home.operations.run(ADA, "local", "job")
        await home.until((await home.deploy(cart="ok")).id, "done")
        with pytest.raises(Conflict, match="no schedule"):
            await home.operations.run(ADA, "local", "cart")


async def test_a_run_is_cancelled(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        service = await served(home, "slow")
        await home.operations.run(ADA, "local", "job")
        run = (await until(home, lambda facts: facts.run)).run
        assert run is not None
        await home.operations.cancel(ADA, service.id)
        facts = await until(home, lambda facts: facts.run is None)
        assert await codes(home) == ["RUN_CANCELLED"]
        assert facts.health is Health.HEALTHY
        assert "ended" in home.folder.of(run.task_id) or home.folder.of(run.task_id) == []


async def test_suspended_it_ends_and_nothing_is_due(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        service = await served(home, "slow")
        await due(home)
        run = (await until(home, lambda facts: facts.run and len(runs(home)) == 1)).run
        assert run is not None
        await home.operations.suspend(ADA, "local", "job")
        await home.until(service.id, "suspended")
        assert "ended" in home.folder.of(run.task_id)
        facts = await home.facts("job")
        assert (facts.next_run_at, facts.run, facts.health) == (None, None, Health.SUSPENDED)
        assert facts.last_run is not None
        assert facts.last_run.task_id == run.task_id
        await home.operations.resume(ADA, "local", "job")
        facts = await until(home, lambda facts: facts.next_run_at)
        assert len(runs(home)) == 1
        await until(home, lambda facts: facts.health is Health.HEALTHY)
        await home.operations.run(ADA, "local", "job")
        run = (await until(home, lambda facts: facts.run and len(runs(home)) == 2)).run
        assert run is not None
        await home.operations.retire(ADA, "local", "job")
        await home.until(service.id, "retired")
        assert "ended" in home.folder.of(run.task_id)


async def test_a_run_goes_on_while_another_release_comes(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, tmp_path) as home:
        service = await served(home, "slow")
        await due(home)
        old = (await until(home, lambda facts: facts.run)).run
        assert old is not None
        describe(monkeypatch, job={"schedule": "0 4 29 2 *"})
        await home.until((await home.deploy(job="ok")).id, "done")
        await home.until(service.id, "serving")
        facts = await home.facts("job")
        assert facts.run == old
        (home.folder.root / "go").touch()
        facts = await until(home, lambda facts: facts.last_run and facts.next_run_at)
        assert facts.last_run is not None
        assert facts.last_run.release_id == old.release_id != facts.serving
        assert facts.next_run_at is not None
        assert facts.next_run_at.hour == 4


async def test_from_a_service_that_stays_up_and_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, tmp_path) as home:
        service = await served(home)
        assert len(home.running(service.id)) == 1
        describe(monkeypatch, job={"schedule": RARE})
        await home.until((await home.deploy(job="slow")).id, "done")
        await home.until(service.id, "serving")
        assert home.running(service.id) == []
        assert (await home.facts("job")).pid is None
        await home.operations.run(ADA, "local", "job")
        run = (await until(home, lambda facts: facts.run and len(runs(home)) == 1)).run
        assert run is not None
        describe(monkeypatch)
        # One that comes to nothing leaves the schedule as it was.
        await home.until((await home.deploy(job="sick")).id, "failed")
        facts = await until(home, lambda facts: facts.current is None)
        assert facts.schedule == RARE
        assert home.running(service.id) == []
        assert facts.run == run
        await home.until((await home.deploy(job="better")).id, "done")
        facts = await until(home, lambda facts: facts.run is None and facts.current is None)
        assert (facts.schedule, facts.next_run_at) == (None, None)
        assert "ended" in home.folder.of(run.task_id)
        assert home.running(service.id) == [f"{facts.serving}.better"]


async def test_a_schedule_that_says_no_time(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": "0 0 30 2 *"})
    async with house(database, tmp_path) as home:
        change = await home.until((await home.deploy(job="ok")).id, "failed")
        assert change.facts.reason is not None
        assert change.facts.reason.code == "BAD_SCHEDULE"
