"""What every provisioner promises, whatever it makes: one suite over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from deployd.catalog import BUILTIN
from deployd.drivers.api import Done, DriverContext, Failed, Provisioner, ResourceSpec, Suspends, Wait
from deployd.drivers.registry import create
from deployd.model.state import Health
from tests.integration.drivers.postgres.place import Place, finish, helper, killed_after, place, query

PROVISIONERS = ["local/postgres"]


@dataclass
class World:
    """One provisioner with what it needs around it."""

    driver_name: str
    place: Place

    @property
    def driver(self) -> Provisioner:
        """A new one each time, as after a restart of deployd."""
        made = create(self.driver_name, {}, DriverContext(self.place.home, "here"))
        assert isinstance(made, Provisioner)
        return made

    @property
    def suspending(self) -> Suspends:
        driver = self.driver
        if not isinstance(driver, Suspends):
            pytest.skip("it does not suspend")
        return driver

    def resource(self, name: str = "cart.db") -> ResourceSpec:
        return self.place.resource(name)

    async def apply(self, resource: ResourceSpec) -> Mapping[str, str]:
        return (await finish(lambda: self.driver.apply(resource))).outputs

    async def destroy(self, resource: ResourceSpec) -> None:
        await finish(lambda: self.driver.destroy(resource))

    async def suspend(self, resource: ResourceSpec) -> None:
        await finish(lambda: self.suspending.suspend(resource))

    async def observe(self, resource: ResourceSpec) -> Health:
        return await self.driver.observe(resource)

    async def tags(self) -> set[str]:
        """By which resources what is there is marked; every name only once."""
        objects = await self.place.objects()
        names = [name for name, _ in objects]
        # One database and one role for each.
        assert all(names.count(name) == 2 for name in names), objects
        return {tag for _, tag in objects}

    async def one(self, *resources: ResourceSpec) -> bool:
        """Whether exactly these are there, each once."""
        return await self.tags() == {f"deployd resource {one.resource_id}" for one in resources}

    async def write(self, outputs: Mapping[str, str]) -> None:
        await query(outputs, "create table kept (x int)")

    async def written(self, outputs: Mapping[str, str]) -> bool:
        return bool((await query(outputs, "select to_regclass('kept') is not null as yes"))[0]["yes"])


@pytest.fixture(params=PROVISIONERS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with place() as made:
        yield World(request.param, made)


async def test_to_observe_makes_nothing(world: World) -> None:
    assert await world.observe(world.resource()) is Health.MISSING
    assert not world.place.home.exists()


async def test_outputs_are_those_of_its_definition(world: World) -> None:
    (definition,) = (one for one in BUILTIN if one.driver == world.driver_name)
    resource = world.resource()
    outputs = await world.apply(resource)
    assert set(outputs) == set(definition.outputs)
    assert all(outputs.values())
    assert await world.observe(resource) is Health.HEALTHY


async def test_apply_twice_is_apply_once(world: World) -> None:
    resource = world.resource()
    first = await world.apply(resource)
    await world.write(first)
    assert await world.apply(resource) == first
    assert await world.written(first)
    assert await world.one(resource)


async def test_apply_from_many_tasks_at_once(world: World) -> None:
    resources = [world.resource(), world.resource()]
    progress = await asyncio.gather(*(world.driver.apply(one) for one in resources for _ in range(4)))
    assert all(isinstance(one, Done | Wait) for one in progress)
    for one in resources:
        await world.apply(one)
    assert await world.one(*resources)


async def test_apply_from_two_processes_at_once(world: World) -> None:
    first = world.resource()
    for resource in (first, world.resource()):  # with nothing there, and with a server that runs
        helpers = [await helper(world.place, "apply", resource) for _ in range(2)]
        said = await asyncio.gather(*(one.communicate(b"go\n") for one in helpers))
        assert [out.strip() in {b"Done", b"Wait"} for out, _ in said] == [True, True]
        await world.apply(resource)
    assert await world.one(first, resource)


@pytest.mark.parametrize("delays", [(0.1, 0.3, 0.5, 0.6), (0.01, 0.02, 0.04, 0.08)], ids=["cold", "warm"])
async def test_dying_between_call_and_commit(world: World, delays: tuple[float, ...]) -> None:
    """Processes that apply are killed at moments all over the call; then it is applied again."""
    there = []
    if delays[0] < 0.1:
        there.append(world.resource())
        await world.apply(there[0])
    said = set()
    for delay in delays:
        resource = world.resource()
        said.add(await killed_after(await helper(world.place, "apply", resource), delay))
        if delays[0] < 0.1 or delay == delays[-1]:
            await world.write(await world.apply(resource))
            there.append(resource)
        else:
            await world.destroy(resource)
    assert b"" in said  # some of them died in the middle
    assert await world.one(*there)
    assert len(world.place.servers()) == 1


async def test_dying_while_destroying(world: World) -> None:
    stays = world.resource()
    outputs = await world.apply(stays)
    await world.write(outputs)
    for delay in (0.005, 0.03):
        resource = world.resource()
        await world.apply(resource)
        await killed_after(await helper(world.place, "destroy", resource), delay)
        await world.destroy(resource)
        assert await world.observe(resource) is Health.MISSING
        assert await world.one(stays)
    assert await world.written(outputs)
    for delay in (0.02, 0.08):  # the last one takes everything
        await killed_after(await helper(world.place, "destroy", stays), delay)
        await world.destroy(stays)
        assert world.place.names() == {"7.lock"}
        await world.apply(stays)


async def test_a_cancelled_apply_is_put_right(world: World) -> None:
    resource = world.resource()
    for delay in (0.0, 0.05, 0.3, 0.6):
        call = asyncio.ensure_future(world.driver.apply(resource))
        await asyncio.sleep(delay)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await world.apply(resource)
    assert await world.one(resource)


async def test_destroy_what_is_missing(world: World) -> None:
    await world.destroy(world.resource())
    resource = world.resource()
    outputs = await world.apply(resource)
    await world.destroy(world.resource())
    assert await world.one(resource)
    assert await world.apply(resource) == outputs


async def test_what_was_destroyed_is_gone_and_can_be_applied_anew(world: World) -> None:
    resource, other = world.resource(), world.resource("orders")
    await world.write(await world.apply(resource))
    kept = await world.apply(other)
    await world.write(kept)
    await world.destroy(resource)
    await world.destroy(resource)
    assert await world.observe(resource) is Health.MISSING
    assert await world.one(other)
    assert not await world.written(await world.apply(resource))
    assert await world.written(kept)


async def test_destroy_while_it_is_used(world: World) -> None:
    resource, other = world.resource(), world.resource("orders")
    outputs = await world.apply(resource)
    await world.apply(other)
    busy = asyncio.ensure_future(query(outputs, "select pg_sleep(60)"))
    while not await world.place.administer("select 1 from pg_stat_activity where query like '%sleep(60)'"):
        assert not busy.done()
    await world.destroy(resource)
    assert await asyncio.gather(busy, return_exceptions=True)
    assert await world.one(other)


async def test_suspend_keeps_the_data(world: World) -> None:
    resource = world.resource()
    outputs = await world.apply(resource)
    await world.write(outputs)
    await world.suspend(resource)
    await world.suspend(resource)
    assert await world.observe(resource) is Health.SUSPENDED
    assert world.place.servers() == []
    assert await world.apply(resource) == outputs
    assert await world.observe(resource) is Health.HEALTHY
    assert await world.written(outputs)


async def test_suspended_while_others_are_in_use(world: World) -> None:
    resource, other = world.resource(), world.resource("orders")
    await world.apply(resource)
    outputs = await world.apply(other)
    await world.suspend(resource)
    assert await world.observe(resource) is Health.SUSPENDED
    assert await world.observe(other) is Health.HEALTHY
    await world.write(outputs)
    await world.destroy(other)
    assert world.place.servers() == []  # nobody uses it any more
    await world.apply(resource)
    assert await world.one(resource)


async def test_suspend_what_is_missing(world: World) -> None:
    resource = world.resource()
    await world.suspend(resource)
    assert await world.observe(resource) is Health.MISSING


async def test_destroy_what_is_suspended(world: World) -> None:
    resource, other = world.resource(), world.resource("orders")
    for one in (resource, other):
        await world.write(await world.apply(one))
        await world.suspend(one)
    await world.destroy(resource)
    assert world.place.servers() == []
    outputs = await world.apply(other)
    assert await world.written(outputs)
    assert await world.one(other)


async def test_wrong_settings_are_told(world: World) -> None:
    progress = await world.driver.apply(replace(world.resource(), settings={"no_such": 1}))
    assert isinstance(progress, Failed)
    assert "no_such" in progress.reason.summary
    assert progress.reason.remedy


async def test_another_password_is_taken_over_and_none_is_kept_on_the_disk(world: World) -> None:
    resource = world.resource()
    old = await world.apply(resource)
    other = replace(resource, password=uuid4().hex)
    outputs = await world.apply(other)
    await world.write(outputs)
    with pytest.raises(Exception, match="authentication failed"):
        await query(old, "select 1")
    await world.suspend(other)  # whatever was only in memory is on the disk now
    for file in world.place.home.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert resource.password.encode() not in content, file
            assert other.password.encode() not in content, file
