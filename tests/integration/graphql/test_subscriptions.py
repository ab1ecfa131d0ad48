"""Being told: each transition exactly once and in order, whatever is lost on the way."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from deployd.errors import PostgresUnavailable
from deployd.graphql import feed
from deployd.model.identifier import new_id
from deployd.store.database import Database
from deployd.store.hints import Hint
from tests.integration.web.server import Served, Socket, Talking, serve

FOLLOW = """subscription ($after: Cursor) { transitions(world: "local", after: $after) {
    __typename ... on CursorExpired { code message cursor world { name cursor services { nodes { name } } } }
    ... on TransitionBatch { cursor transitions { seq machineId } } } }"""
DEPLOYMENT = """subscription ($id: ID!, $after: Cursor) { deployment(id: $id, after: $after) {
    __typename ... on CursorExpired { code cursor world { name } }
    ... on DeploymentEvent { cursor deployment { state finished } transitions { toState } } } }"""
LOGS = """subscription ($after: Cursor) { logs(world: "local", service: "cart", after: $after) {
    cursor lines { text stream instance at } } }"""


async def batch(ws: Socket) -> Any:
    found = (await ws.next())["data"]["transitions"]
    assert found.pop("__typename") == "TransitionBatch"
    return found


async def born(served: Served, count: int) -> None:
    await served.committer.store(births=tuple(served.deployment() for _ in range(count)))


async def start_cursor(served: Served) -> str:
    cursor: str = (await served.data('{ world(name: "local") { cursor } }'))["world"]["cursor"]
    return cursor


async def subscriber(served: Served, cursor: str, last: int, seed: int) -> list[int]:
    """What somebody sees who keeps leaving, in all three ways, and comes back with its cursor."""
    chance = random.Random(seed)
    seen: list[int] = []
    while not seen or seen[-1] < last:
        async with served.connect() as ws:
            await ws.init()
            for number in range(chance.randint(1, 3)):
                await ws.subscribe(FOLLOW, {"after": cursor}, id=str(number))
                for _ in range(chance.randint(1, 4)):
                    message = await ws.receive()
                    while message["id"] != str(number):  # what was on its way when it was completed
                        message = await ws.receive()
                    found = message["payload"]["data"]["transitions"]
                    seen += [one["seq"] for one in found["transitions"]]
                    cursor = found["cursor"]
                    if seen and seen[-1] >= last:
                        return seen
                await ws.send(type="complete", id=str(number))
            if chance.random() < 0.3:
                assert ws.ws._response.connection is not None
                assert ws.ws._response.connection.transport is not None
                ws.ws._response.connection.transport.abort()
    return seen


@pytest.mark.parametrize("hints", [True, False])
async def test_each_subscriber_sees_each_transition_once_in_order(
    database: Database, hints: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hints:
        monkeypatch.setattr(feed, "POLL", 0.05)
    monkeypatch.setattr("deployd.graphql.following.BATCH", 20)
    async with serve(database, hints=hints) as served:
        cursor = await start_cursor(served)

        async def writer() -> None:
            for _ in range(50):
                await born(served, 2)
                await asyncio.sleep(0)

        everything = list(range(1, 501))
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            readers = [group.create_task(subscriber(served, cursor, 500, seed)) for seed in range(6)]
            for _ in range(5):
                group.create_task(writer())
        for reader in readers:
            assert reader.result() == everything


async def test_without_a_cursor_the_present_one_comes_first(served: Served) -> None:
    await born(served, 3)
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW)
        assert await batch(ws) == {"cursor": await start_cursor(served), "transitions": []}
        await born(served, 2)
        assert [one["seq"] for one in (await batch(ws))["transitions"]] == [4, 5]


async def test_a_hint_tells_at_once_and_without_one_the_poll_does(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "POLL", 3600)
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW)
        await batch(ws)
        await born(served, 1)
        assert [one["seq"] for one in (await batch(ws))["transitions"]] == [1]
        served.api.bus._tell(Hint(lost=True))  # nothing new: nothing is told
        served.api.bus._tell(Hint(worlds=frozenset({served.world_id + 1})))
        await born(served, 1)
        assert [one["seq"] for one in (await batch(ws))["transitions"]] == [2]


async def test_who_leaves_is_forgotten(served: Served) -> None:
    listeners = served.api.bus._listeners
    async with served.connect() as ws:
        await ws.init()
        for name in "abc":
            await ws.subscribe(FOLLOW, id=name)
            await batch(ws)
        await until(lambda: len(listeners) == 1)  # one listens for all who asked for the same
        for name in "ab":
            await ws.send(type="complete", id=name)
        await born(served, 1)
        assert (await ws.receive())["id"] == "c"
    await until(lambda: not listeners)
    # A cancelled read gives its connection back a moment later.
    await until(lambda: served.db.connections.used == 0)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_no_connection_is_held_while_waiting(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        for number in range(20):  # more than the pool has
            await ws.subscribe(FOLLOW, id=str(number))
            await batch(ws)
        await until(lambda: served.db.connections.used == 0)
        assert (await served.data("{ worlds { name } }"))["worlds"]


async def test_a_cursor_from_the_future_is_refused(served: Served) -> None:
    await born(served, 3)
    cursor = await start_cursor(served)
    await served.db.pool.execute("update world_heads set seq = 2")
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW, {"after": cursor})
        (error,) = (await ws.next())["errors"]
        assert error["extensions"]["code"] == "INVALID_INPUT"
        assert (await ws.receive())["type"] == "complete"


async def test_what_is_not_there_ends_a_subscription(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(DEPLOYMENT, {"id": str(new_id())})
        assert (await ws.next())["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        assert (await ws.receive())["type"] == "complete"
        await ws.subscribe('subscription { transitions(world: "none") { __typename } }')
        assert (await ws.next())["errors"][0]["extensions"]["code"] == "NOT_FOUND"


# -- one deployment


async def event(ws: Socket) -> tuple[str, bool, list[str]]:
    found = (await ws.next())["data"]["deployment"]
    return (
        found["deployment"]["state"],
        found["deployment"]["finished"],
        [one["toState"] for one in found["transitions"]],
    )


async def test_a_deployment_is_followed_until_it_has_ended(served: Served) -> None:
    made = served.deployment()
    await served.committer.store(births=(made, served.deployment()))
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(DEPLOYMENT, {"id": str(made.id)})
        assert await event(ws) == ("QUEUED", False, ["queued"])
        await served.move(made.id, ("start", "fetching"))
        assert await event(ws) == ("FETCHING", False, ["fetching"])
        await served.move(made.id, ("planned", "building"), ("verified", "succeeded"))
        told: list[str] = []
        finished = False
        while not finished:
            state, finished, states = await event(ws)
            told += states
        assert (state, told) == ("SUCCEEDED", ["building", "succeeded"])
        assert (await ws.receive())["type"] == "complete"

        await ws.subscribe(DEPLOYMENT, {"id": str(made.id)})
        last = await ws.next()
        assert last["data"]["deployment"]["deployment"] == {"state": "SUCCEEDED", "finished": True}
        states = [one["toState"] for one in last["data"]["deployment"]["transitions"]]
        assert states == ["queued", "fetching", "building", "succeeded"]
        assert (await ws.receive())["type"] == "complete"

        await ws.subscribe(DEPLOYMENT, {"id": str(made.id), "after": last["data"]["deployment"]["cursor"]})
        assert await event(ws) == ("SUCCEEDED", True, [])
        assert (await ws.receive())["type"] == "complete"


async def test_the_end_is_never_told_without_its_transition(served: Served) -> None:
    """Many at once, each followed while it moves: what is told is whole, in order, once."""
    made = [served.deployment() for _ in range(20)]
    await served.committer.store(births=tuple(made))
    path = (("start", "fetching"), ("fetched", "planning"), ("planned", "building"), ("fail", "failed"))

    async def follow(one: str) -> list[str]:
        told: list[str] = []
        async with served.connect() as ws:
            await ws.init()
            await ws.subscribe(DEPLOYMENT, {"id": one})
            finished = False
            while not finished:
                _, finished, states = await event(ws)
                told += states
            assert (await ws.receive())["type"] == "complete"
        return told

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        readers = [group.create_task(follow(str(one.id))) for one in made]
        await asyncio.sleep(0.05)
        for one in made:
            await served.move(one.id, *path)
    for reader in readers:
        assert reader.result() == ["queued", "fetching", "planning", "building", "failed"]


# -- logs


@pytest.fixture
def driver() -> Talking:
    return Talking([f"line {number}" for number in range(150)])


async def lines(ws: Socket) -> Any:
    return (await ws.next())["data"]["logs"]


async def test_lines_are_told_each_once(database: Database, driver: Talking) -> None:
    async with serve(database, driver=driver) as served:
        service = served.service("cart")
        await served.committer.store(births=(service,))
        async with served.connect() as ws:
            await ws.init()
            await ws.subscribe(LOGS)
            first = await lines(ws)
            assert [one["text"] for one in first["lines"]] == [f"line {n}" for n in range(50, 150)]
            assert first["lines"][0] | {"text": ""} == {
                "text": "",
                "stream": "stdout",
                "instance": "1",
                "at": "2026-01-01T00:00:00+00:00",
            }
            driver.lines += [f"more {number}" for number in range(120)]
            seen: list[str] = []
            while len(seen) < 120:
                found = await lines(ws)
                assert 0 < len(found["lines"]) <= 100
                seen += [one["text"] for one in found["lines"]]
            assert seen == [f"more {number}" for number in range(120)]
            await ws.send(type="complete", id="1")
            await ws.subscribe(LOGS, {"after": first["cursor"]}, id="2")
            assert (await lines(ws))["lines"][0]["text"] == "more 0"
        (ref,) = driver.asked
        assert (ref.world_id, ref.world, ref.service_id, ref.service) == (
            served.world_id,
            "local",
            service.id,
            "cart",
        )


async def test_a_silent_service_still_gives_a_cursor(database: Database) -> None:
    async with serve(database, driver=Talking()) as served:
        await served.committer.store(births=(served.service("cart"),))
        async with served.connect() as ws:
            await ws.init()
            await ws.subscribe(LOGS)
            assert await lines(ws) == {"cursor": "0", "lines": []}


async def test_lines_are_read_in_pages(database: Database, driver: Talking) -> None:
    query = """query ($after: Cursor, $first: Int! = 100) {
        logs(world: "local", service: "cart", after: $after, first: $first) { cursor lines { text } } }"""
    async with serve(database, driver=driver) as served:
        await served.committer.store(births=(served.service("cart"),))
        page = (await served.data(query))["logs"]
        assert (page["cursor"], len(page["lines"])) == ("150", 100)
        page = (await served.data(query, after="10", first=2))["logs"]
        assert page == {"cursor": "12", "lines": [{"text": "line 10"}, {"text": "line 11"}]}
        for given in ({"after": "garbage"}, {"first": 0}, {"first": 1001}):
            answer = await served.post(query, None, **given)
            assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_a_driver_without_logs_says_so(served: Served) -> None:
    await served.committer.store(births=(served.service("cart"),))
    answer = await served.post('{ logs(world: "local", service: "cart") { cursor } }')
    assert answer["errors"][0]["extensions"]["code"] == "UNSUPPORTED"
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(LOGS)
        assert (await ws.next())["errors"][0]["extensions"]["code"] == "UNSUPPORTED"
        assert (await ws.receive())["type"] == "complete"
    answer = await served.post('{ logs(world: "local", service: "none") { cursor } }')
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.fixture
def loss(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """While this is set, transitions cannot be read."""
    lost = asyncio.Event()
    fetch = Database.fetch

    async def fails(self: Database, query: str, *args: Any) -> Any:
        if lost.is_set() and query == "read_page":
            raise PostgresUnavailable
        return await fetch(self, query, *args)

    monkeypatch.setattr(Database, "fetch", fails)
    monkeypatch.setattr(feed, "POLL", 0.02)
    return lost


async def test_a_subscription_outlives_a_short_loss_of_the_database(
    served: Served, loss: asyncio.Event
) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW)
        await batch(ws)
        loss.set()
        await born(served, 3)
        with pytest.raises(TimeoutError):
            await ws.ws.receive(timeout=0.1)
        loss.clear()
        assert [one["seq"] for one in (await batch(ws))["transitions"]] == [1, 2, 3]


async def test_a_subscription_does_not_outlive_a_long_one(
    served: Served, loss: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PATIENCE", 0.1)
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW)
        await batch(ws)
        loss.set()
        (error,) = (await ws.next())["errors"]
        assert error["extensions"]["code"] == "POSTGRES_UNAVAILABLE"
        assert (await ws.receive())["type"] == "complete"


async def test_another_worlds_transitions_are_not_told(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe("""subscription { transitions(world: "system") {
            __typename ... on TransitionBatch { transitions { seq } } } }""")
        await batch(ws)
        await ws.subscribe(FOLLOW, id="2")
        await batch(ws)
        await born(served, 1)
        assert (await ws.receive())["id"] == "2"
        with pytest.raises(TimeoutError):
            await ws.ws.receive(timeout=0.2)


async def test_a_backlog_is_read_without_waiting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", 3600)
    monkeypatch.setattr("deployd.graphql.following.BATCH", 10)
    cursor = await start_cursor(served)
    await born(served, 35)
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW, {"after": cursor})
        sizes = [len((await batch(ws))["transitions"]) for _ in range(4)]
        assert sizes == [10, 10, 10, 5]
