"""What is kept between requests is never out of date."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from deployd.graphql.kept import Kept, Machines, Pages, Shown
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.model.state import Health, MachineKind
from deployd.store import forgetting, workers, worlds
from deployd.store.commit import Birth
from deployd.store.queries import QUERIES
from deployd.store.reads import stamp
from tests.integration.graphql.test_queries import add_service
from tests.integration.web.server import Served

PAGE = """{ world(name: "local") { version tallies { kind state health count }
    services(first: 10) { nodes { name state health running serving { number }
        deployments(first: 1) { nodes { id state } } } } } }"""
HISTORY = '{ history(world: "local", first: 3) { nodes { seq toState } pageInfo { hasNextPage } } }'


async def _seen(served: Served) -> tuple[dict[str, Any], dict[str, Any]]:
    """The second time by what is kept, which is what a server that keeps nothing says."""
    await served.data(PAGE)
    again = (await served.data(PAGE))["world"]
    (service,) = again["services"]["nodes"]
    return again, service


async def test_what_moves_is_seen_at_once(served: Served) -> None:
    made, deployments = await add_service(served, "cart")
    service_id = UUID(made)
    world, service = await _seen(served)
    assert (service["state"], service["health"], service["running"]) == ("IDLE", "HEALTHY", 0)
    assert world["tallies"] == [{"kind": "SERVICE", "state": "idle", "health": "HEALTHY", "count": 1}]
    assert service["deployments"]["nodes"][0] == {"id": deployments[-1], "state": "QUEUED"}

    # Without a transition.
    await served.move(
        service_id, (None, "idle"), facts=ServiceFacts("cart", health=Health.DEGRADED, running=2)
    )
    world, service = await _seen(served)
    assert (service["state"], service["health"], service["running"]) == ("IDLE", "DEGRADED", 2)
    assert world["tallies"] == [{"kind": "SERVICE", "state": "idle", "health": "DEGRADED", "count": 1}]

    await served.move(UUID(deployments[-1]), ("start", "fetching"))
    _, service = await _seen(served)
    assert service["deployments"]["nodes"] == [{"id": deployments[-1], "state": "FETCHING"}]

    later = served.deployment("cart", service_id)
    await served.committer.store(births=(later,))
    _, service = await _seen(served)
    assert service["deployments"]["nodes"] == [{"id": str(later.id), "state": "QUEUED"}]

    other = served.service("till")
    await served.committer.store(
        births=(Birth(**{one.name: getattr(other, one.name) for one in fields(other)}),)
    )
    await served.data(PAGE)
    world = (await served.data(PAGE))["world"]
    assert [one["name"] for one in world["services"]["nodes"]] == ["cart", "till"]
    assert sum(one["count"] for one in world["tallies"]) == 2


async def test_a_clock_that_was_set_back_is_seen(served: Served) -> None:
    """It changes when a machine was last written, and nothing else of it."""
    await add_service(served, "cart")
    query = '{ world(name: "local") { services { nodes { updatedAt } } } }'
    await served.db.pool.execute(
        "update machines set updated_at = updated_at + $1::interval, due_at = now()", timedelta(hours=1)
    )
    before = [await served.data(query) for _ in range(2)][1]
    await workers.add(served.db, uuid4(), ["here"], "here", 1)
    assert await served.data(query) != before


async def forget(served: Served) -> int:
    """Forget the deployments that were cancelled; how many those were."""
    found = await forgetting.attempts(
        served.db,
        served.world_id,
        MachineKind.DEPLOYMENT,
        datetime.now(UTC) + timedelta(hours=1),
        forgetting.FIRST,
        0,
        (["cancelled"], []),
    )
    assert found.gone > 0
    return found.gone


async def test_what_is_forgotten_is_seen(served: Served) -> None:
    _, deployments = await add_service(served, "cart")
    for each in deployments:
        await served.move(UUID(each), ("cancel", "cancelled"))
    query = '{ world(name: "local") { services { nodes { deployments { nodes { id } } } } } }'
    (before,) = [await served.data(query) for _ in range(2)][1]["world"]["services"]["nodes"]
    assert {one["id"] for one in before["deployments"]["nodes"]} == set(deployments)
    gone = await forget(served)
    (after,) = (await served.data(query))["world"]["services"]["nodes"]
    assert len(after["deployments"]["nodes"]) == len(deployments) - gone


def test_whatever_writes_what_is_shown_is_counted() -> None:
    """Nobody is shown who holds a machine, who waits for it, and when it is due."""
    shown = re.compile(r"\b(state|name|facts|version|attempt|deadline_at|updated_at) = ")
    for name, statement in QUERIES.items():
        writes = "insert into machines" in statement or "delete from machines" in statement
        for rest in statement.split("update machines ")[1:]:
            writes = writes or bool(shown.search(re.split(r"\b(?:where|from|returning)\b", rest)[0]))
        assert not writes or "writes = h.writes + 1" in statement, name


async def test_a_world_that_is_changed_is_seen(served: Served) -> None:
    query = '{ world(name: "local") { version gates { name } capabilities { name } } }'
    before = [(await served.data(query))["world"] for _ in range(2)][1]
    await worlds.set_gates(served.db, served.world_id, {})
    await worlds.retire(served.db, served.world_id)
    after = [(await served.data(query))["world"] for _ in range(2)][1]
    assert int(after["version"]) > int(before["version"])


async def test_history_goes_on(served: Served) -> None:
    await add_service(served, "cart")
    first = [(await served.data(HISTORY))["history"] for _ in range(2)]
    assert first[0] == first[1]
    assert [one["seq"] for one in first[0]["nodes"]] == [4, 3, 2]
    await add_service(served, "till")
    then = [(await served.data(HISTORY))["history"] for _ in range(2)]
    assert [one["seq"] for one in then[0]["nodes"]] == [8, 7, 6]
    assert then[0] == then[1]


async def test_no_more_is_kept_than_was_said() -> None:
    async def read(keys: Any) -> dict[Any, Any]:
        return {key: key for key in keys}

    async def nothing(_: Any) -> dict[Any, Any]:
        return {}

    async def read_as(keys: Any, value: Any) -> dict[Any, Any]:
        (one,) = keys
        return {one: value}

    kept: Kept[int, int] = Kept(2)
    for number in range(5):
        assert await kept.read([number], read) == {number: number}
    assert len(kept._values) == 2
    shown = Shown(2)
    values = [object() for _ in range(5)]
    for one in values:
        assert shown.of(one, id) == id(one)
    assert len(shown._known) == 2
    pages = Pages(2)
    for number in range(5):
        found = await pages.read(
            number,
            (1,),
            lambda _, number=number: asyncio.sleep(0, ((1,), number)),
        )
        assert found == number
    assert len(pages._known) == 2
    machines = Machines(2)
    assert await machines.read([stamp(_machine(1))], nothing) == {}
    for number in range(5):
        one = _machine(number)
        found = await machines.read([stamp(one)], lambda keys, one=one: read_as(keys, one))
        assert found == {stamp(one): one}
        assert await machines.read([stamp(one)], nothing) == found
    assert len(machines._known) == 2


async def test_a_value_is_shown_once_for_each_way() -> None:
    shown, value = Shown(), ["a"]
    assert shown.of(value, list) is shown.of(value, list)
    assert shown.of(value, list, 1) is not shown.of(value, list, 2)
    assert shown.of(["a"], list) is not shown.of(value, list)


async def test_one_looks_for_all_who_wait() -> None:
    """And nobody gets what was looked at before it asked."""
    pages, written, looks, may_end = Pages(), 0, 0, asyncio.Event()

    async def renew(_: int | None) -> tuple[tuple[int, ...], int]:
        nonlocal looks
        looks += 1
        seen = written
        await may_end.wait()
        return (seen, 0), seen

    async def ask() -> int:
        return await pages.read("page", (written, 0), renew)

    waiting = []
    for number in range(10):
        waiting.append(asyncio.create_task(ask()))
        await asyncio.sleep(0)
        written = number + 1
    may_end.set()
    assert await asyncio.gather(*waiting) == [0, *[10] * 9]
    assert looks == 2
    assert await ask() == 10
    assert looks == 2
    written = 11
    assert await ask() == 11
    assert looks == 3


async def test_whoever_asked_before_is_served_by_a_later_look() -> None:
    """Of several worlds each has to be as late as was asked."""
    pages, before = Pages(), []

    async def ask(as_of: tuple[int, ...], now: tuple[int, ...]) -> tuple[int, ...]:
        async def renew(page: tuple[int, ...] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
            before.append(page)
            return now, now

        return await pages.read("page", as_of, renew)

    assert await ask((3, 3), (4, 3)) == (4, 3)
    assert await ask((4, 3), (9, 9)) == (4, 3)
    assert await ask((2, 1), (9, 9)) == (4, 3)
    assert before == [None]
    assert await ask((1, 4), (5, 4)) == (5, 4)
    assert before == [None, (4, 3)]


async def test_who_gives_up_while_it_looks_leaves_the_turn_to_the_next() -> None:
    pages, may_end = Pages(), asyncio.Event()

    async def renew(_: str | None) -> tuple[tuple[int, ...], str]:
        await may_end.wait()
        return (1,), "seen"

    first, second = (asyncio.create_task(pages.read("page", (1,), renew)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    may_end.set()
    assert await second == "seen"
    assert first.cancelled()


def _machine(number: int) -> Machine:
    moment, facts = datetime(2026, 1, 1, tzinfo=UTC), ServiceFacts("cart")
    named = (1, UUID(int=number), MachineKind.SERVICE, "idle", "cart", None, None, None)
    return Machine(*named, number, 0, 0, None, moment, moment, facts)
