"""What every deployer promises, whatever it runs: one suite over all of them."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

import pytest

from deployd.drivers.api import (
    Deployer,
    Done,
    DriverContext,
    Logs,
    Plan,
    ReleaseSpec,
    ServiceRef,
    Wait,
    Watch,
)
from deployd.drivers.registry import create
from deployd.errors import InputError, Retryable
from deployd.model.spec import ScaleSpec, ServiceSpec
from tests.contract.apply_once import marked_release
from tests.integration.drivers.process.place import Place, finish, new_service, place, processes, started

DRIVERS = ["deploy:process"]


@dataclass
class World:
    """One deployer with what it needs around it."""

    driver_name: str
    place: Place

    @property
    def driver(self) -> Deployer:
        """A new one each time, as after a restart of deployd."""
        made = create(self.driver_name, {}, DriverContext(self.place.home, "here"))
        assert isinstance(made, Deployer)
        return made

    @property
    def service(self) -> ServiceRef:
        return self.place.service

    def release(self, run: str = "sleep 600", number: int = 1) -> ReleaseSpec:
        return marked_release(uuid4(), number, run, self.place.tree)

    def count(self, release: ReleaseSpec) -> int:
        """How many processes run for it, by the mark in their environment."""
        return len(processes(release.env["MARK"]))

    def one(self, release: ReleaseSpec) -> bool:
        """Whether exactly one process runs for it, as soon as any does."""
        return len(started(release.env["MARK"])) == 1

    async def apply(self, release: ReleaseSpec, *, alone: bool = True) -> Done:
        return await finish(lambda: self.driver.apply(self.service, release, alone=alone))

    async def destroy(self, release: ReleaseSpec | None = None) -> Done:
        return await finish(
            lambda: self.driver.destroy(self.service, release.release_id if release else None)
        )


@pytest.fixture(params=DRIVERS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with place() as made:
        yield World(request.param, made)


async def test_plan_changes_nothing(world: World) -> None:
    release = world.release()
    plan = await world.driver.plan(world.service, release)
    assert isinstance(plan, Plan)
    assert plan.actions
    assert plan.refusals == ()
    assert (await world.driver.observe(world.service)).instances == ()
    assert world.count(release) == 0


async def test_plan_refuses_more_than_it_can_do(world: World) -> None:
    driver = world.driver
    spec = ServiceSpec(name="cart", run="sleep 600", scale=ScaleSpec(1, driver.supports.max_scale + 1))
    release = ReleaseSpec(uuid4(), 1, spec, tree=world.place.tree)
    (refusal,) = (await driver.plan(world.service, release)).refusals
    assert refusal.code
    assert refusal.remedy


async def test_apply_twice_is_apply_once(world: World) -> None:
    release = world.release()
    first = await world.apply(release)
    before = (await world.driver.observe(world.service)).of(release.release_id)
    second = await world.apply(release)
    after = (await world.driver.observe(world.service)).of(release.release_id)
    assert first == second
    assert before is not None
    assert after is not None
    assert (before.pid, before.address, before.restarts) == (after.pid, after.address, after.restarts)
    assert world.one(release)


async def test_apply_from_many_tasks_at_once(world: World) -> None:
    release = world.release()
    progress = await asyncio.gather(
        *(world.driver.apply(world.service, release, alone=True) for _ in range(6)), return_exceptions=True
    )
    # Who waits too long for the others is told so, and asks again.
    assert all(isinstance(one, Done | Wait | Retryable) for one in progress)
    await world.apply(release)
    assert world.one(release)
    assert len((await world.driver.observe(world.service)).instances) == 1


async def test_alone_ends_the_others(world: World) -> None:
    old, new = world.release(), world.release(number=2)
    await world.apply(old)
    await world.apply(new, alone=False)
    assert world.one(new)
    assert world.count(old) == 1
    await world.apply(new)
    assert (world.count(old), world.count(new)) == (0, 1)


async def test_destroy_what_is_missing(world: World) -> None:
    assert isinstance(await world.driver.destroy(world.service), Done)
    assert isinstance(await world.driver.destroy(world.service, uuid4()), Done)
    assert (await world.driver.observe(new_service())).instances == ()


async def test_destroy_twice(world: World) -> None:
    release, other = world.release(), world.release(number=2)
    await world.apply(release)
    await world.apply(other, alone=False)
    await world.destroy(release)
    await world.destroy(release)
    assert (world.count(release), world.count(other)) == (0, 1)
    assert (await world.driver.observe(world.service)).of(release.release_id) is None
    await world.destroy()
    assert world.count(other) == 0


async def test_what_was_destroyed_can_be_applied_again(world: World) -> None:
    release = world.release()
    await world.apply(release)
    await world.destroy(release)
    await world.apply(release)
    assert world.one(release)


async def test_apply_and_destroy_at_once_end_in_one_of_both(world: World) -> None:
    release = world.release()
    progress = await asyncio.gather(
        *(world.driver.apply(world.service, release, alone=True) for _ in range(3)),
        *(world.driver.destroy(world.service) for _ in range(3)),
        return_exceptions=True,
    )
    assert all(isinstance(one, Done | Wait | Retryable) for one in progress)
    assert world.count(release) <= 1
    await world.destroy()
    assert world.count(release) == 0


async def test_a_cancelled_apply_is_put_right(world: World) -> None:
    for delay in (0.0, 0.01, 0.04):
        release = world.release()
        call = asyncio.ensure_future(world.driver.apply(world.service, release, alone=True))
        await asyncio.sleep(delay)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await world.apply(release)
        assert world.one(release)


async def test_dying_between_call_and_commit(world: World) -> None:
    """Processes that apply are killed at moments all over the call; then it is applied again."""
    releases = [world.release(number=number) for number in range(1, 7)]
    helpers = []
    for release in releases:
        where = (world.driver_name, world.place.home, world.place.tree, world.service.service_id)
        command = ("-m", "tests.contract.apply_once", *where, release.release_id, release.number)
        helpers.append(
            await asyncio.create_subprocess_exec(sys.executable, *map(str, command), stdin=PIPE, stdout=PIPE)
        )
    said = set()
    for step, (helper, release) in enumerate(zip(helpers, releases, strict=True)):
        assert helper.stdin is not None
        assert helper.stdout is not None
        assert await helper.stdout.readline() == b"ready\n"
        helper.stdin.write(b"go\n")
        await asyncio.sleep(step * step * 0.004)
        if helper.returncode is None:
            helper.kill()
        said.add((await helper.communicate())[0])
        await world.apply(release)
        assert world.one(release)
    assert b"" in said  # some of them died in the middle
    assert len((await world.driver.observe(world.service)).instances) == 1
    assert sum(world.count(release) for release in releases) == 1


async def test_changes_are_hinted(world: World) -> None:
    driver = world.driver
    if not isinstance(driver, Watch):
        pytest.skip("it does not watch")
    watch: AsyncIterator[object] = driver.watch()
    async with aclosing(watch):  # type: ignore[type-var]
        hint = asyncio.ensure_future(anext(watch))
        end = time.monotonic() + 30
        while not hint.done():
            assert time.monotonic() < end
            release = world.release()
            await world.apply(release)
            await world.destroy()
        assert hint.result() == (world.service.world_id, world.service.service_id)


async def test_what_it_logged_outlives_it(world: World) -> None:
    driver = world.driver
    if not isinstance(driver, Logs):
        pytest.skip("it keeps no logs")
    start = await driver.read_logs(world.service, None, 10)
    assert start.lines == ()
    release = world.release("/bin/sh -c 'echo hello; sleep 600'")
    await world.apply(release)
    texts: list[str] = []
    cursor, end = start.cursor, time.monotonic() + 30
    while "hello" not in texts:
        assert time.monotonic() < end
        page = await driver.read_logs(world.service, cursor, 1)
        cursor = page.cursor
        texts += [line.text for line in page.lines]
    await world.destroy()
    again = await driver.read_logs(world.service, start.cursor, 100)
    assert [line.text for line in again.lines].count("hello") == 1
    with pytest.raises(InputError):
        await driver.read_logs(world.service, "no cursor", 10)
