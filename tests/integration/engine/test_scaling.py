"""Copies of a service: as many as somebody wants, of those that its manifest allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployd.drivers.api import DriverContext
from deployd.drivers.registry import create
from deployd.engine.holding import WAKE
from deployd.engine.scaling import Scaling
from deployd.errors import Conflict, Forbidden, InputError, Unsupported
from deployd.model.actor import Actor, Role
from deployd.model.state import Health
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, house


class Scales:
    """One service, `cart`."""

    def __init__(self, home: House) -> None:
        self.home = home

        async def deployer(world_id: int, capability: str) -> object:
            return await home.context.deployer(world_id, capability)

        self.scaling = Scaling(home.operations, deployer)  # type: ignore[arg-type]

    async def deploy(self, scale: str, run: str = "ok") -> None:
        folder = Path(self.home.source(cart=run))
        text = f"deployd: 1\nservice:\n  name: cart\n  run: {run}\n  {scale}\n"
        (folder / "deployd.yaml").write_text(text)
        change = await self.home.operations.deploy(ADA, "local", str(folder))
        await self.home.until(change.id, "done")
        await self.home.until((await self.home.service("cart")).id, "serving")

    async def scale(self, copies: int) -> None:
        await self.scaling.scale(ADA, "local", "cart", copies)

    async def run(self, copies: int) -> list[str]:
        """What runs, once it is so many, and all know it."""
        service = await self.home.service("cart")
        async with asyncio.timeout(20):
            while True:
                running, facts = self.home.running(service.id), await self.home.facts("cart")
                if len(running) == facts.running == copies and facts.health is Health.HEALTHY:
                    return running
                await asyncio.sleep(0.01)


@pytest.fixture
async def scales(database: Database, tmp_path: Path) -> AsyncIterator[Scales]:
    async with house(database, tmp_path) as running:
        yield Scales(running)


async def test_so_many_run_as_somebody_wants_and_the_manifest_allows(scales: Scales) -> None:
    home = scales.home
    await scales.deploy("scale: {min: 1, max: 4}")
    service = await home.service("cart")
    await scales.run(1)
    await scales.scale(3)
    running = await scales.run(3)
    assert any(
        one.reason
        and one.reason.code == "SCALED"
        and one.reason.summary == "service cart gets 3 copies instead of 1"
        for one in await home.history()
    )
    # One that went away comes back.
    home.folder.remove(service.id, running[1])
    assert await _woken(scales, 3) == running
    # A later deployment keeps the number where it may.
    await scales.deploy("scale: {min: 2, max: 4}", "better")
    assert all(".better" in one for one in await scales.run(3))
    await home.operations.suspend(ADA, "local", "cart")
    await home.until(service.id, "suspended")
    await scales.scale(2)
    await home.operations.resume(ADA, "local", "cart")
    await scales.run(2)
    await scales.deploy("scale: {min: 4, max: 5}", "ok")
    await scales.run(4)
    with pytest.raises(InputError, match="may have 4 to 5 copies, not 2"):
        await scales.scale(2)
    await scales.deploy("scale: 1", "better")
    await scales.run(1)
    with pytest.raises(InputError, match="may have exactly 1 copy, not 3") as caught:
        await scales.scale(3)
    assert "`scale:` of cart in deployd.yaml, as release 4 has it" in caught.value.remedy
    await home.check_whole()


async def _woken(scales: Scales, copies: int) -> list[str]:
    service = await scales.home.service("cart")
    post = Post(scales.home.world_id, service.id, WAKE, "person:ada")
    await scales.home.committer.store(posts=(post,))
    async with asyncio.timeout(20):
        while len(scales.home.running(service.id)) != copies:
            await asyncio.sleep(0.01)
    return await scales.run(copies)


async def test_what_cannot_be_is_refused_at_once(scales: Scales) -> None:
    await scales.deploy("scale: {min: 1, max: 9}")
    with pytest.raises(Unsupported, match="world local runs at most 5 copies of a service"):
        await scales.scale(6)
    with pytest.raises(InputError, match="1 to 9 copies, not 0"):
        await scales.scale(0)
    with pytest.raises(Forbidden):
        await scales.scaling.scale(Actor("person:eve", Role.VIEWER), "local", "cart", 2)
    await scales.deploy('schedule: "0 3 29 2 *"')
    with pytest.raises(Conflict, match="schedule"):
        await scales.scale(1)


async def test_a_world_of_processes_runs_one(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path) as home:
        await Scales(home).deploy("scale: {min: 1, max: 3}")
        processes = create("deploy:process", {}, DriverContext(tmp_path / "driver", "here"))

        async def deployer(world_id: int, capability: str) -> object:
            return processes

        with pytest.raises(Unsupported, match="runs one copy of a service") as caught:
            await Scaling(home.operations, deployer).scale(ADA, "local", "cart", 2)  # type: ignore[arg-type]
        assert caught.value.remedy.startswith("Ask for 1,")
