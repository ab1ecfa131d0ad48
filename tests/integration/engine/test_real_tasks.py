"""The engine's tasks with real processes: a command before the release, and a run when it is due."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployd.model.spec import BeforeSpec
from deployd.store.database import Database
from tests.conftest import scratch
from tests.house import ADA, House, house
from tests.integration.engine.described import describe

RARE = "0 3 29 2 *"


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that services under another user can reach."""
    path = scratch("deployd-tasks-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def retire(home: House, name: str) -> None:
    """Leave no process behind."""
    service = await home.service(name)
    await home.operations.retire(ADA, "local", name)
    await home.until(service.id, "retired")


async def test_before_a_failure_and_then_a_success(
    database: Database, open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = "/usr/bin/python3 -m http.server --bind 127.0.0.1 $PORT"
    async with house(database, open_path, processes=True) as home:
        describe(monkeypatch, cart={"before": BeforeSpec("echo no table >&2; exit 3")})
        change = await home.until((await home.deploy(cart=serve)).id, "failed")
        reason = change.facts.reason
        assert reason is not None
        assert (reason.code, reason.evidence) == ("TASK_FAILED", "no table")
        describe(monkeypatch, cart={"before": BeforeSpec("echo $PORT > ~/migrated")})
        change = await home.until((await home.deploy(cart=serve)).id, "done")
        (migrated,) = open_path.glob("driver/*/*/home/migrated")
        assert migrated.read_text() == "\n"
        (deployment,) = await home.deployments(change.id)
        assert (await home.path(deployment.id)).count("releasing") == 1
        await retire(home, "cart")


async def test_a_run_and_its_end_by_suspending(
    database: Database, open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job={"schedule": RARE})
    async with house(database, open_path, processes=True) as home:
        await home.until(
            (await home.deploy(job="echo ran >> ~/runs; test -e ~/again && exec sleep 600; true")).id, "done"
        )
        service = await home.until((await home.service("job")).id, "serving")
        await home.operations.run(ADA, "local", "job")
        async with asyncio.timeout(30):
            while (facts := await home.facts("job")).last_run is None:
                await asyncio.sleep(0.02)
        assert facts.last_run.reason is not None
        assert facts.last_run.reason.code == "RUN_SUCCEEDED"
        (runs,) = open_path.glob("driver/*/*/home/runs")
        (runs.parent / "again").touch()
        await home.operations.run(ADA, "local", "job")
        async with asyncio.timeout(30):
            while runs.read_text() != "ran\n" * 2:
                await asyncio.sleep(0.02)
        await home.operations.suspend(ADA, "local", "job")
        await home.until(service.id, "suspended")
        assert (await home.facts("job")).run is None
        assert runs.read_text() == "ran\n" * 2
        await retire(home, "job")
