"""A deployment behind an entrypoint: healthy first, then reached, then alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from deployd.engine.context import ENTRYPOINT, Context, Driver
from deployd.model.machine import Machine
from deployd.model.world import Capability
from deployd.store import worlds
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house
from tests.standin import StandinDeployer, StandinRouter


@dataclass
class Routed:
    home: House
    router: StandinRouter

    def journal(self) -> list[str]:
        """What was made, routed and removed, releases by their number."""
        numbers: dict[str, int] = {}
        told = []
        for line in self.home.folder.journal():
            verb, *what = line.split()
            if verb in ("made", "routed", "removed"):
                named = []
                for one in what if verb == "routed" else what[-1:]:
                    release, equals, share = one.removeprefix("http://").partition(".")[0].partition("=")
                    named.append(f"{numbers.setdefault(release, len(numbers) + 1)}{equals}{share}")
                told.append(f"{verb} {' '.join(named)}")
            else:
                told.append(line)
        return told

    async def deployed(self, run: str, state: str = "done") -> Machine:
        """The deployment, once its change is there and the service at rest."""
        change = await self.home.until((await self.home.deploy(cart=run)).id, state)
        await self.home.until((await self.home.service("cart")).id, "serving", "idle")
        [deployment] = await self.home.deployments(change.id)
        return deployment

    async def begun(self, run: str) -> Machine:
        change = await self.home.deploy(cart=run)
        async with asyncio.timeout(30):
            while not (made := await self.home.deployments(change.id)):
                await asyncio.sleep(0.005)
        return made[0]

    async def noted(self, line: str) -> None:
        async with asyncio.timeout(30):
            while line not in self.journal():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def routed(database: Database, path: Path) -> AsyncIterator[Routed]:
    await worlds.add_capability(database, "local", ENTRYPOINT, Capability("route:standin"))
    made: list[StandinRouter] = []

    def change(context: Context) -> None:
        others = context.driver
        deployer = others("deploy:process", {})
        assert isinstance(deployer, StandinDeployer)
        deployer.addresses = True
        router = StandinRouter(deployer.folder)
        made.append(router)

        def driver(name: str, config: Mapping[str, object]) -> Driver:
            return router if name == "route:standin" else others(name, config)

        context.driver = driver

    async with house(database, path, change=change) as home:
        yield Routed(home, made[0])


async def test_the_route_moves_between_healthy_and_alone(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        first = await one.deployed("ok")
        assert deployment_facts(first).url == "http://cart.test"
        facts = await one.home.facts("cart")
        assert (facts.url, facts.address) == ("http://cart.test", f"http://{facts.serving}")
        await one.deployed("better")
        assert one.journal() == ["made 1", "routed 1", "made 2", "routed 2", "removed 1"]


async def test_nothing_is_stopped_while_requests_are_under_way(database: Database, tmp_path: Path) -> None:
    """Longer than the time in which the release had to become healthy: that was another question."""
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        one.home.patience = 2
        one.router.draining = 1
        deployment = await one.begun("better")
        await one.noted("routed 2")
        await asyncio.sleep(4)
        assert (await one.home.get(deployment.id)).state == "verifying"
        assert "removed 1" not in one.journal()
        one.router.draining = 0
        await one.home.until(deployment.id, "succeeded")
        assert one.journal()[-1] == "removed 1"


async def test_a_release_that_is_never_healthy_is_told_in_its_own_time(
    database: Database, tmp_path: Path
) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        one.home.patience = 2
        slow = await one.deployed("slow", "failed")
        at = {t.to_state: t.at for t in await one.home.history() if t.machine_id == slow.id}
        assert at["rolling_back"] - at["verifying"] < timedelta(seconds=10)  # with time to drain 14
        reason = deployment_facts(slow).reason
        assert reason is not None
        assert (reason.code, reason.summary) == (
            "DEADLINE_PASSED",
            "deployment did not get beyond verifying in time",
        )
        assert one.journal() == ["made 1", "routed 1", "made 2", "removed 2"]


async def test_cancelled_after_the_switch_it_goes_back(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        one.router.draining = 1
        deployment = await one.begun("better")
        await one.noted("routed 2")
        await one.home.operations.cancel(ADA, deployment.id)
        await one.home.until(deployment.id, "cancelling")
        await one.noted("routed 1")
        assert "removed 2" not in one.journal()
        one.router.draining = 0
        await one.home.until(deployment.id, "cancelled")
        assert one.journal() == ["made 1", "routed 1", "made 2", "routed 2", "routed 1", "removed 2"]


async def test_what_nothing_served_before_is_not_reached_afterwards(
    database: Database, tmp_path: Path
) -> None:
    async with routed(database, tmp_path) as one:
        one.router.draining = 1
        deployment = await one.begun("ok")
        await one.noted("routed 1")
        await one.home.operations.cancel(ADA, deployment.id)
        await one.home.until(deployment.id, "cancelling", "cancelled")
        one.router.draining = 0
        await one.home.until(deployment.id, "cancelled")
        assert one.journal() == ["made 1", "routed 1", "unrouted: is not served", "removed 1"]


@pytest.mark.parametrize(
    ("verb", "state", "why"), [("suspend", "suspended", "is suspended"), ("retire", "retired", None)]
)
async def test_what_ends_is_unrouted_first(
    database: Database, tmp_path: Path, verb: str, state: str, why: str | None
) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        service = await one.home.service("cart")
        await getattr(one.home.operations, verb)(ADA, "local", "cart")
        await one.home.until(service.id, state)
        assert one.journal()[-2:] == [f"unrouted: {why}", "removed 1"]
        facts = (await one.home.get(service.id)).facts
        assert getattr(facts, "url", "") is None


async def test_a_route_that_is_missing_is_set_again(database: Database, tmp_path: Path) -> None:
    async with routed(database, tmp_path) as one:
        await one.deployed("ok")
        service = await one.home.service("cart")
        one.router.to.clear()
        one.router.failing = True  # and while that does not work, the service is watched all the same
        await wake(one.home, service.id)
        await asyncio.sleep(0.2)
        facts = await one.home.facts("cart")
        assert (facts.health, facts.url) == ("Healthy", "http://cart.test")
        one.router.failing = False
        await wake(one.home, service.id)
        async with asyncio.timeout(30):
            while not one.router.to:
                await asyncio.sleep(0.01)


async def wake(home: House, service_id: UUID) -> None:
    await home.committer.store(posts=(Post(home.world_id, service_id, "wake", "person:ada"),))
