"""Real processes behind the real proxy under constant load, replaced by every strategy."""

from __future__ import annotations

import asyncio
import shutil
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deployd.drivers.entrypoint.client import Client
from deployd.model.machine import Machine
from deployd.model.spec import RolloutSpec
from deployd.store.database import Database
from tests.acceptance.rolling import Load, end, rolling, worker
from tests.conftest import scratch
from tests.house import ADA, House, deployment_facts
from tests.ports import free_port

RUN = "/usr/bin/python3 -S server.py"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that services under another user can reach."""
    path = scratch("deployd-roll-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def roll(house: House, text: str, rollout: RolloutSpec) -> Machine:
    return await house.roll_out("cart", f"{RUN} {text} {house.home}", rollout, text)


async def until(true: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def reached(house: House) -> tuple[str, ...]:
    """By its name, and within its world."""
    service = await house.service("cart")
    record = Client(house.home / "router").read(str(service.id))
    assert record is not None
    return f"http://127.0.0.1:{record.entry}", f"http://127.0.0.1:{record.port}"


@asynccontextmanager
async def served(database: Database, home: Path) -> AsyncIterator[House]:
    async with rolling(database, home, free_port()) as house:
        try:
            await house.until((await roll(house, "one", RolloutSpec())).id, "succeeded")
            yield house
        finally:
            await end(house)


@pytest.mark.parametrize(
    "rollout",
    [
        RolloutSpec(),
        RolloutSpec("blue-green", keep=1),
        RolloutSpec("blue-green"),
        RolloutSpec("canary", steps=(20, 60), interval=0.4),
    ],
    ids=["rolling", "blue-green", "blue-green-0", "canary"],
)
async def test_no_request_fails(database: Database, home: Path, rollout: RolloutSpec) -> None:
    async with served(database, home) as house:
        with Load(await reached(house)) as load:
            for text in ("two", "three"):
                await house.until((await roll(house, text, rollout)).id, "succeeded")
                seen = len(load.answers)
                await until(lambda seen=seen: len(load.answers) > seen + 20, "answers")
                assert set(load.answers[-5:]) == {text}
            await house.operations.rollback(ADA, "local", "cart")
            await until(lambda: load.answers[-1] == "two", "it went back")
        assert load.failures == []
        assert set(load.answers) == {"one", "two", "three"}


async def test_only_a_recreate_answers_503_and_nothing_else_fails(database: Database, home: Path) -> None:
    async with served(database, home) as house:
        with Load(await reached(house)) as load:
            await house.until((await roll(house, "two", RolloutSpec("recreate"))).id, "succeeded")
            await until(lambda: load.answers[-1] == "two", "the new one answers")
        assert set(load.failures) == {(503, "service cart is being replaced\n", "1")}
        first = load.answers.index("two")
        assert "one" not in load.answers[first + load.clients :]  # never both at once


async def test_a_recreate_that_fails_brings_the_old_one_back(database: Database, home: Path) -> None:
    async with served(database, home) as house:
        with Load(await reached(house)) as load:
            broken = await house.roll_out("cart", "/bin/false", RolloutSpec("recreate"), "broken")
            await house.until(broken.id, "rolled_back")
            seen = len(load.answers)
            await until(lambda: len(load.answers) > seen + 20, "it answers again")
        assert set(load.failures) == {(503, "service cart is being replaced\n", "1")}
        assert set(load.answers) == {"one"}


async def test_a_canary_that_dies_goes_back_and_no_request_fails(database: Database, home: Path) -> None:
    async with served(database, home) as house:
        with Load(await reached(house)) as load:
            canary = await roll(house, "two", RolloutSpec("canary", steps=(20,), interval=60))
            await until(lambda: load.answers[-200:].count("two") >= 3, "it gets its share")
            share = Counter(load.answers[-500:])
            assert 0 < share["two"] / share.total() < 0.4
            service = await house.service("cart")
            record = Client(house.home / "router").read(str(service.id))
            assert record is not None
            light = min(record.targets, key=lambda one: one.weight)
            with urllib.request.urlopen(f"http://{light.address}/die", timeout=30) as answer:
                assert answer.read() == b"two"
            reason = deployment_facts(await house.until(canary.id, "rolled_back")).reason
            assert reason is not None
            assert reason.code in ("EXITED", "RESTARTED", "NOT_LISTENING")
            seen = len(load.answers)
            await until(lambda: len(load.answers) > seen + 20, "answers")
            assert set(load.answers[-10:]) == {"one"}
        # Whoever it was answering when it died has an error, as it had with any service that dies; or half
        # an answer, where it died between its head and its body.
        assert [one for one in load.failures if one[0] != 502 and "IncompleteRead" not in str(one[0])] == []
        assert len(load.failures) <= load.clients


async def test_a_killed_deployd_goes_on_with_its_canary(database: Database, dsn: str, home: Path) -> None:
    port = free_port()
    async with rolling(database, home, port, works=False) as house:
        try:
            async with worker(dsn, home, port) as first:
                await house.until((await roll(house, "one", RolloutSpec())).id, "succeeded")
                with Load(await reached(house)) as load:
                    rollout = RolloutSpec("canary", steps=(20, 60), interval=1.5)
                    canary = await roll(house, "two", rollout)
                    await until(lambda: "two" in load.answers, "it gets its share")
                    first.kill()
                    await first.wait()
                    seen = len(load.answers)
                    await until(lambda: "two" in load.answers[seen:], "the proxy goes on by itself")
                    assert (await house.get(canary.id)).state == "verifying"
                    async with worker(dsn, home, port):
                        await house.until(canary.id, "succeeded")
                        seen = len(load.answers)
                        await until(lambda: len(load.answers) > seen + 20, "answers")
                assert load.failures == []
                assert set(load.answers[-5:]) == {"two"}
        finally:
            async with worker(dsn, home, port):
                await end(house)
