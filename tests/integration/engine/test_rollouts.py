"""Each strategy on its way, on its way back, and cancelled: in which order things are made and reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployd.engine.rollout import progress
from deployd.model.machine import Machine
from deployd.model.reason import Reason
from deployd.model.spec import RolloutSpec, RouteSpec
from deployd.store.database import Database
from tests.house import ADA, deployment_facts, house
from tests.integration.engine.test_routing import Routed, routed, wake

CANARY = RolloutSpec("canary", steps=(10, 50), interval=1.0)
LONG = RolloutSpec("canary", steps=(10, 50), interval=60)
BLUE_GREEN = RolloutSpec("blue-green", keep=60)
RECREATE = RolloutSpec("recreate")


async def until(true: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.005)


async def rolled_out(one: Routed, run: str, rollout: RolloutSpec, state: str, key: str = "1") -> Machine:
    """The deployment at its end, its service at rest."""
    deployment = await one.home.roll_out("cart", run, rollout, key)
    ended = await one.home.until(deployment.id, state)
    await one.home.until((await one.home.service("cart")).id, "serving", "idle")
    return ended


@pytest.mark.parametrize("rollout", [CANARY, BLUE_GREEN, RECREATE], ids=lambda one: one.strategy)
async def test_the_first_release_is_just_started(
    database: Database, tmp_path: Path, rollout: RolloutSpec
) -> None:
    async with routed(database, tmp_path) as one:
        await rolled_out(one, "ok", rollout, "succeeded")
        assert one.journal() == ["made 1", "routed 1"]


# -- canary


async def test_a_canary_takes_its_steps(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        deployment = await one.home.roll_out("cart", "better", CANARY)
        told: set[str] = set()
        while (seen := await one.home.get(deployment.id)).state != "succeeded":
            said = progress(deployment_facts(seen), seen.state, datetime.now(UTC)) or ""
            told.add(said.partition(" for ")[0])
            await asyncio.sleep(0.01)
        assert {"canary: 10 %", "canary: 50 %"} <= told
        assert one.journal() == [
            *("made 1", "routed 1", "made 2"),
            *("routed 1=90 2=10", "routed 1=50 2=50", "routed 2", "removed 1"),
        ]
        assert "roll out as canary: 10 %, 50 %, 1 s each" in deployment_facts(seen).actions


@pytest.mark.parametrize(("mark", "code"), [("ill", "SICK"), ("restarted", "RESTARTED")])
async def test_a_canary_that_does_not_stay_well_goes_back(
    database: Database, tmp_path: Path, mark: str, code: str
) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        deployment = await one.home.roll_out("cart", "wilting", LONG)
        await one.noted("routed 1=90 2=10")
        one.home.folder.mark(mark)
        ended = await one.home.until(deployment.id, "rolled_back")
        reason = deployment_facts(ended).reason
        assert reason is not None
        assert reason.code == code
        assert one.journal()[-3:] == ["routed 1=90 2=10", "routed 1", "removed 2"]


async def test_what_restarted_before_its_canary_may_serve(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        one.home.folder.mark("restarted")
        await rolled_out(one, "wilting", CANARY, "succeeded")


async def test_a_cancelled_canary_goes_back_in_order(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        deployment = await one.home.roll_out("cart", "better", LONG)
        await one.noted("routed 1=90 2=10")
        one.router.draining = 1
        await one.home.operations.cancel(ADA, deployment.id)
        await until(lambda: asyncio.to_thread(lambda: one.journal().count("routed 1") == 2))
        await asyncio.sleep(0.4)
        assert "removed 2" not in one.journal()  # requests are under way to it
        one.router.draining = 0
        await one.home.until(deployment.id, "cancelled")
        assert one.journal()[-3:] == ["routed 1=90 2=10", "routed 1", "removed 2"]


async def test_a_canary_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    """What its step is, and since when, is committed; deployd may end in the middle of it."""
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        rollout = replace(LONG, steps=(10, 50), interval=5)
        deployment = await one.home.roll_out("cart", "better", rollout)
        await one.noted("routed 1=50 2=50")
        before = deployment_facts(await one.home.get(deployment.id))
        assert before.step == 1
    lines = len(one.journal())
    async with routed(database, tmp_path) as one:
        await one.home.until(deployment.id, "succeeded")
        assert "routed 1=90 2=10" not in one.journal()[lines:]
        assert one.journal()[-2:] == ["routed 2", "removed 1"]


async def test_what_serves_beside_a_canary_is_kept_alive(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        service = await one.home.service("cart")
        serving = (await one.home.facts("cart")).serving
        await one.home.roll_out("cart", "better", LONG)
        await one.noted("routed 1=90 2=10")
        one.home.folder.remove(service.id, f"{serving}.ok")
        await until(lambda: asyncio.to_thread(lambda: one.journal().count("made 1") == 2))
        await one.noted("routed 1=90 2=10")


async def test_going_back_is_not_tried_out(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await rolled_out(one, "ok", LONG, "succeeded", "1")
        await one.deployed("better")
        await one.home.operations.rollback(ADA, "local", "cart")
        await until(lambda: asyncio.to_thread(lambda: one.journal()[-1] == "removed 2"))
        assert one.journal()[-3:] == ["made 1", "routed 1", "removed 2"]


# -- blue-green


async def test_the_release_before_is_kept_and_then_let_go(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        ended = await rolled_out(one, "better", replace(BLUE_GREEN, keep=6), "succeeded")
        said = progress(deployment_facts(ended), ended.state, datetime.now(UTC))
        assert said is not None
        assert said.startswith("blue-green: the release before is kept for ")
        service = await one.home.service("cart")
        for _ in range(5):  # its watch does not take it for an intruder
            await wake(one.home, service.id)
            await asyncio.sleep(0.05)
        assert one.journal() == ["made 1", "routed 1", "made 2", "routed 2"]
        await one.noted("removed 1")
        await until(lambda: _let_go(one))
        assert one.journal()[-1] == "removed 1"
        assert [t.trigger for t in await one.home.history() if t.machine_id == service.id][-1] == "serve"


async def _let_go(one: Routed) -> bool:
    return (await one.home.facts("cart")).kept is None


async def test_going_back_to_what_is_kept_starts_nothing(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        first = (await one.home.facts("cart")).serving
        await rolled_out(one, "better", BLUE_GREEN, "succeeded")
        assert (await one.home.facts("cart")).kept == first
        await one.home.operations.rollback(ADA, "local", "cart")
        await one.noted("removed 2")  # the first one was made rolling: it keeps nothing
        assert one.journal() == ["made 1", "routed 1", "made 2", "routed 2", "routed 1", "removed 2"]
        await until(lambda: _let_go(one))
        assert (await one.home.facts("cart")).serving == first


async def test_a_kept_release_ends_with_the_next_switch(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        await rolled_out(one, "better", BLUE_GREEN, "succeeded", "1")
        await rolled_out(one, "best", BLUE_GREEN, "succeeded", "2")
        assert one.journal()[-3:] == ["made 3", "routed 3", "removed 1"]
        await rolled_out(one, "last", replace(BLUE_GREEN, keep=0), "succeeded", "3")
        assert sorted(one.journal()[-2:]) == ["removed 2", "removed 3"]
        assert (await one.home.facts("cart")).kept is None


async def test_a_stranger_ends_and_the_kept_one_stays(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        await rolled_out(one, "better", BLUE_GREEN, "succeeded")
        service = await one.home.service("cart")
        one.home.folder.make(service.id, f"{service.id}.ok")
        await wake(one.home, service.id)
        await one.noted("removed 3")
        assert len(one.home.running(service.id)) == 2


async def test_what_is_suspended_keeps_nothing(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        await rolled_out(one, "better", BLUE_GREEN, "succeeded")
        service = await one.home.service("cart")
        await one.home.operations.suspend(ADA, "local", "cart")
        await one.home.until(service.id, "suspended")
        assert one.home.running(service.id) == []
        assert (await one.home.facts("cart")).kept is None


# -- recreate


async def test_the_old_one_ends_before_the_new_one_starts(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        one.router.draining = 1
        deployment = await one.home.roll_out("cart", "better", RECREATE)
        await one.noted("unrouted: is being replaced")
        await asyncio.sleep(0.4)
        assert (await one.home.get(deployment.id)).state == "releasing"
        assert "removed 1" not in one.journal()
        one.router.draining = 0
        await one.home.until(deployment.id, "succeeded")
        assert one.journal()[2:] == ["unrouted: is being replaced", "removed 1", "made 2", "routed 2"]


@pytest.mark.parametrize(("run", "made"), [("broken", []), ("sick", ["made 2", "removed 2"])])
async def test_a_recreate_that_fails_starts_the_old_one_again(
    database: Database, tmp_path: Path, run: str, made: list[str]
) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        await rolled_out(one, run, RECREATE, "rolled_back")
        assert one.journal()[2:] == [
            *("unrouted: is being replaced", "removed 1", *made),
            *("made 1", "routed 1"),
        ]


async def test_a_cancelled_recreate_starts_the_old_one_again(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        deployment = await one.home.roll_out("cart", "slow", RECREATE)
        await one.noted("made 2")
        await one.home.operations.cancel(ADA, deployment.id)
        await one.home.until(deployment.id, "cancelled")
        assert one.journal()[3:] == ["removed 1", "made 2", "removed 2", "made 1", "routed 1"]


async def test_a_recreate_cancelled_before_anything_ended_leaves_it(
    database: Database, tmp_path: Path
) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        one.router.draining = 1
        deployment = await one.home.roll_out("cart", "better", RECREATE)
        await one.noted("unrouted: is being replaced")
        await one.home.operations.cancel(ADA, deployment.id)
        await one.home.until(deployment.id, "cancelled")
        assert one.journal() == ["made 1", "routed 1", "unrouted: is being replaced", "routed 1"]


# -- planning


def refused(machine: Machine) -> Reason:
    reason = deployment_facts(machine).reason
    assert reason is not None
    return reason


@pytest.mark.parametrize("strategy", ["canary", "blue-green"])
async def test_without_an_entrypoint_nothing_can_be_switched(
    database: Database, tmp_path: Path, strategy: str
) -> None:
    async with house(database, tmp_path) as home:
        deployment = await home.roll_out("cart", "ok", RolloutSpec(strategy, steps=(10,)))
        reason = refused(await home.until(deployment.id, "failed"))
        assert reason.code == "ROLLOUT_NOT_HERE"
        assert reason.summary.startswith(f"service cart: `rollout: {strategy}`: that switches requests")
        assert reason.remedy == "Use recreate or rolling in this world."
        assert home.folder.journal() == []
        deployment = await home.roll_out("cart", "ok", RECREATE, "2")
        await home.until(deployment.id, "succeeded")
        deployment = await home.roll_out("cart", "better", RECREATE, "3")
        await home.until(deployment.id, "succeeded")
        assert [line.split()[0] for line in home.folder.journal()] == ["made", "removed", "made"]


async def test_what_the_entrypoint_refuses_is_refused(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        routes = (RouteSpec("shop.example.com"),)
        one.router.refusing = (Reason("ROUTE_TAKEN", "shop.example.com/ leads to service shop already"),)
        deployment = await one.home.roll_out("cart", "ok", RolloutSpec(), routes=routes)
        reason = refused(await one.home.until(deployment.id, "failed"))
        assert reason.code == "ROUTE_TAKEN"
        one.router.refusing = ()
        routes = (RouteSpec("shop.example.com", entrypoint="public"),)
        deployment = await one.home.roll_out("cart", "ok", RolloutSpec(), "2", routes=routes)
        reason = refused(await one.home.until(deployment.id, "failed"))
        assert (reason.code, reason.remedy) == (
            "NO_ENTRYPOINT",
            "Write `entrypoint: entrypoint`, or leave it out.",
        )
        assert one.journal() == []


async def test_a_canary_longer_than_its_state_is_refused(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        deployment = await one.home.roll_out("cart", "ok", replace(LONG, interval=12 * 3600))
        reason = refused(await one.home.until(deployment.id, "failed"))
        assert reason.code == "ROLLOUT_TOO_LONG"
