"""One execution for all who asked for the same: each is told exactly its own, and nobody holds up another."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp
import pytest

from deployd.cli.client import Client
from deployd.graphql import context
from deployd.model.actor import Role
from deployd.model.world import SYSTEM
from deployd.store import tokens, worlds
from deployd.telemetry.metrics import OPERATIONS
from deployd.web import channel, subscriber
from deployd.web.protocol import TransportHandler
from tests.integration.web.server import Served, Socket
from tests.integration.web.test_events import born, events_of

FOLLOW = """subscription ($after: Cursor) { transitions(world: "local", after: $after) {
    ... on TransitionBatch { cursor transitions { seq } } } }"""
WIDE = 'subscription ($after: Cursor) { transitions(world: "local", after: $after) {' + (
    "... on TransitionBatch { cursor transitions { seq "
    + " ".join(f"m{number}: machineId" for number in range(30))
    + " } } } }"
)
"""Of which each transition takes more than a KiB."""


def seqs(payload: Any) -> list[int]:
    return [one["seq"] for one in payload["data"]["transitions"]["transitions"]]


def cursor(payload: Any) -> str:
    found: str = payload["data"]["transitions"]["cursor"]
    return found


async def add(served: Served, name: str, of: tuple[str, ...] | None = None) -> dict[str, str]:
    system = await worlds.get(served.db, SYSTEM)
    assert system is not None
    text = f"{name}-0123456789abcdef0123456789abcdef"
    await tokens.add(served.db, system.world_id, name, Role.VIEWER, text, worlds=of)
    return {"Authorization": f"Bearer {text}"}


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def told(ws: Socket, last: int) -> tuple[list[int], str]:
    """All up to there, and the cursor behind it."""
    seen: list[int] = []
    while not seen or seen[-1] < last:
        payload = await ws.next()
        seen += seqs(payload)
    return seen, cursor(payload)


async def test_only_those_with_the_same_rights_share(strict: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "RECHECK", 0.02)
    listeners = strict.api.bus._listeners
    ada, eve = await add(strict, "ada"), await add(strict, "eve")
    bob, dan = await add(strict, "bob", ("local",)), await add(strict, "dan", ("other",))
    async with (
        strict.connect(ada) as first,
        strict.connect(eve) as second,
        strict.connect(bob) as third,
        strict.connect(dan) as fourth,
    ):
        for ws in (first, second):
            await (await ws.init()).subscribe(FOLLOW)
            assert seqs(await ws.next()) == []
        await until(lambda: len(listeners) == 1)
        await (await third.init()).subscribe(FOLLOW)
        assert seqs(await third.next()) == []
        await until(lambda: len(listeners) == 2)
        await (await fourth.init()).subscribe(FOLLOW)
        assert (await fourth.next())["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        await born(strict, 1)
        for ws in (first, second, third):
            assert seqs(await ws.next()) == [1]

        await strict.db.pool.execute("update tokens set revoked_at = now() where name = 'ada'")
        await asyncio.sleep(0.05)
        await born(strict, 1)
        payload = await first.next()
        assert payload["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "eve" not in str(payload)
        assert (await first.receive())["type"] == "complete"
        assert seqs(await second.next()) == seqs(await third.next()) == [2]
    await until(lambda: not listeners)


async def test_whoever_joins_late_is_told_each_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways, by any cursor, under other ids and in other places of the stream; and counted once each."""
    monkeypatch.setattr(channel, "RECENT", 3)
    monkeypatch.setattr(channel, "AT_ONCE", 2)
    monkeypatch.setattr("deployd.graphql.following.BATCH", 7)
    labels = ("subscription", "transitions", "ok")
    before = sum(OPERATIONS.series[labels].counts) if labels in OPERATIONS.series else 0
    last, chance = 400, random.Random(7)
    cursors = {0: (await served.data('{ world(name: "local") { cursor } }'))["world"]["cursor"]}
    finished = asyncio.Event()

    async def write() -> None:
        while max(cursors) < last:
            await born(served, min(chance.randint(1, 5), last - max(cursors)))
            world = (await served.data('{ world(name: "local") { cursor } }'))["world"]
            cursors[
                await served.db.pool.fetchval(
                    "select seq from world_heads where world_id = $1", served.world_id
                )
            ] = world["cursor"]
            await asyncio.sleep(0.002)
        finished.set()

    async def join(number: int) -> None:
        await asyncio.sleep(number * 0.02)
        behind = chance.choice(list(cursors))
        variables = {"after": cursors[behind]}
        if number % 4:
            async with served.connect() as ws:
                await (await ws.init()).subscribe(FOLLOW, variables, id=f"id {number % 3}")
                seen, _ = await told(ws, last)
        else:
            seen = []
            async with events_of(served, FOLLOW, after=cursors[behind]) as stream:
                while not seen or seen[-1] < last:
                    seen += seqs((await stream.told())[1])
        assert seen == list(range(behind + 1, last + 1))

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(write())
        for number in range(24):
            group.create_task(join(number))
    await until(lambda: sum(OPERATIONS.series[labels].counts) == before + 24)


async def test_whoever_takes_too_little_is_cut_off_and_goes_on_where_it_was(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "BEHIND", 256 * 1024)
    handlers = TransportHandler.living
    async with served.connect() as stalled, served.connect() as healthy:
        for ws in (stalled, healthy):
            await (await ws.init()).subscribe(WIDE)
            assert seqs(await ws.next()) == []
        assert stalled.ws._response.connection is not None
        transport = stalled.ws._response.connection.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        last, seen = 0, list[int]()
        while len(handlers) == 2:
            await born(served, 500)
            last += 500
            seen += (await told(healthy, last))[0]  # at once, while the other takes nothing
            assert last < 20_000, "it is cut off long before"
        await born(served, 3)
        last += 3
        seen += (await told(healthy, last))[0]
        assert seen == list(range(1, last + 1))

        transport.resume_reading()
        taken: list[int] = []
        after = ""
        while (message := await stalled.ws.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            payload = message.json()["payload"]
            taken += seqs(payload)
            after = cursor(payload)
        assert stalled.ws.close_code == subscriber.TOO_SLOW == 4013
        assert 0 < len(taken) < last
    async with served.connect() as again:
        await (await again.init()).subscribe(WIDE, {"after": after})
        assert taken + (await told(again, last))[0] == list(range(1, last + 1))


async def test_a_stream_of_events_that_takes_too_little_ends_without_complete(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "BEHIND", 64 * 1024)
    async with events_of(served, WIDE) as stream:
        seen = seqs((await stream.told())[1])
        await until(lambda: served.api.bus._listeners)
        assert stream.response.connection is not None
        transport = stream.response.connection.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        async with asyncio.timeout(30):
            while served.api.bus._listeners:
                await born(served, 500)
        transport.resume_reading()
        while (found := await stream.told())[0] == "next":
            seen += seqs(found[1])
        assert found == ("end", None)
    assert seen == list(range(1, len(seen) + 1))


async def test_the_command_line_goes_on_by_itself(served: Served) -> None:
    seen: list[int] = []
    async with asyncio.timeout(20), Client(served.url) as client:
        async for batch in client.subscribe(FOLLOW, {}):
            seen += [one["seq"] for one in batch["transitions"]]
            if len(seen) in (0, 2, 4):
                await until(lambda: served.api.bus._listeners)
                for handler in tuple(TransportHandler.living):
                    handler.cut_off()
                await born(served, 2)
            if len(seen) == 6:
                break
    assert seen == [1, 2, 3, 4, 5, 6]
