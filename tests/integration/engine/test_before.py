"""`before:` runs once with a new release, before anything of it runs; what serves is not touched by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deployd.drivers.api import Supports
from deployd.engine.tasks import releasing_time
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.spec import BeforeSpec
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house
from tests.integration.engine.described import describe
from tests.standin import StandinDeployer


def tasks(home: House) -> list[str]:
    return [line for line in home.folder.journal() if line.startswith("made") and line.endswith(" task")]


async def served(home: House) -> Machine:
    await home.until((await home.deploy(cart="ok")).id, "done")
    return await home.until((await home.service("cart")).id, "serving")


async def the_deployment(home: House, change: Machine) -> Machine:
    while not (made := await home.deployments(change.id)):
        await asyncio.sleep(0.005)
    return made[0]


async def test_it_runs_first_and_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, cart={"before": BeforeSpec("ok")})
    async with house(database, tmp_path) as home:
        change = await home.until((await home.deploy(cart="better")).id, "done")
        (deployment,) = await home.deployments(change.id)
        service = await home.service("cart")
        made = [line for line in home.folder.journal() if line.startswith("made")]
        assert made == [
            f"made {derived_id(deployment.id, 'before')} task",
            f"made {service.id} {deployment.id}.better",
        ]
        await home.check_whole()


async def test_its_failure_is_the_deployments(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, tmp_path) as home:
        service = await served(home)
        running, journal = home.running(service.id), len(home.folder.journal())
        describe(monkeypatch, cart={"before": BeforeSpec("broken")})
        change = await home.until((await home.deploy(cart="better")).id, "failed")
        (deployment,) = await home.deployments(change.id)
        assert deployment.state == "failed"
        reason = deployment.facts.reason
        assert reason is not None
        assert (reason.code, reason.evidence) == ("TASK_FAILED", "no table")
        await home.until(service.id, "serving")
        assert home.running(service.id) == running
        since = home.folder.journal()[journal:]
        assert since[0] == f"made {derived_id(deployment.id, 'before')} task"
        assert not [line for line in since if str(service.id) in line]
        # Once more is another attempt, with a run of its own.
        await home.operations.retry(ADA, deployment.id)
        async with asyncio.timeout(30):
            while len(tasks(home)) < 2:
                await asyncio.sleep(0.01)


async def test_a_rollback_does_not_run_it_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, cart={"before": BeforeSpec("ok")})
    async with house(database, tmp_path) as home:
        service = await served(home)
        first = (await home.facts("cart")).serving
        await home.until((await home.deploy(cart="better")).id, "done")
        await home.until(service.id, "serving")
        assert len(tasks(home)) == 2
        await home.operations.rollback(ADA, "local", "cart")
        async with asyncio.timeout(30):
            while (await home.facts("cart")).serving != first:
                await asyncio.sleep(0.01)
        assert len(tasks(home)) == 2


async def test_a_cancel_ends_it(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(database, tmp_path) as home:
        service = await served(home)
        running = home.running(service.id)
        describe(monkeypatch, cart={"before": BeforeSpec("slow", timeout=120)})
        change = await home.deploy(cart="better")
        deployment = await the_deployment(home, change)
        deployment = await home.until(deployment.id, "releasing")
        assert deployment.deadline_at is not None
        assert deployment.deadline_at - deployment.updated_at <= releasing_time(deployment_facts(deployment))
        async with asyncio.timeout(30):
            while (told := (await home.get(deployment.id)).facts.reason) is None:
                await asyncio.sleep(0.01)
        assert told.summary == "before runs"
        await home.operations.cancel(ADA, deployment.id)
        await home.until(deployment.id, "cancelled")
        assert home.folder.of(derived_id(deployment.id, "before")) == ["ended", "task"]
        await home.until(service.id, "serving")
        assert home.running(service.id) == running


async def test_a_world_that_runs_no_commands(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandinDeployer, "supports", Supports(runs="tree", bound_to_host=True))
    describe(monkeypatch, cart={"before": BeforeSpec("ok")}, job={"schedule": "0 3 * * *"})
    async with house(database, tmp_path) as home:
        for name in ("cart", "job"):
            change = await home.until((await home.deploy(None, **{name: "ok"})).id, "failed")
            assert change.facts.reason is not None
            assert change.facts.reason.code == "UNSUPPORTED"
            assert name in change.facts.reason.summary
        assert home.folder.journal() == []
