"""Server-sent events: the same operations, limits, masking and permissions as everywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from deployd.graphql import context
from deployd.model.actor import Role
from deployd.model.world import SYSTEM
from deployd.store import tokens, worlds
from deployd.store.database import Database
from deployd.web import events
from tests.integration.web.server import Served, Talking, serve

FOLLOW = (
    'subscription { transitions(world: "local") { ... on TransitionBatch { cursor transitions { seq } } } }'
)
ACCEPT = {"Accept": "text/event-stream"}


class Stream:
    """The client's end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def told(self) -> tuple[str, Any]:
        """The next event's name and data; `comment` for one of these; `end` once nothing more comes."""
        found: dict[str, str] = {}
        async with asyncio.timeout(10):
            while line := (await self.response.content.readline()).decode():
                if line == "\n":
                    break
                name, _, value = line.removesuffix("\n").partition(":")
                found[name or "comment"] = value.strip()
        if "comment" in found:
            return "comment", None
        if not found:
            return "end", None
        return found["event"], json.loads(found["data"]) if found["data"] else None


@asynccontextmanager
async def events_of(
    served: Served, query: str, headers: Mapping[str, str] | None = None, **variables: object
) -> AsyncIterator[Stream]:
    async with served.session.post(
        f"{served.url}/graphql",
        json={"query": query, "variables": variables},
        headers={**ACCEPT, **(headers or {})},
    ) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        yield Stream(response)


async def born(served: Served, count: int) -> None:
    await served.committer.store(births=tuple(served.deployment() for _ in range(count)))


async def listeners(served: Served, count: int) -> None:
    """Until so many follow."""
    async with asyncio.timeout(5):
        while len(served.api.bus._listeners) != count:
            await asyncio.sleep(0.02)


async def test_any_operation_is_one_event_and_the_end(served: Served) -> None:
    for query, expected in (
        ('{ world(name: "local") { name } }', {"data": {"world": {"name": "local"}}}),
        (
            'mutation { createWorld(name: "other") { ... on World { name } } }',
            {"data": {"createWorld": {"name": "other"}}},
        ),
    ):
        async with events_of(served, query) as stream:
            assert await stream.told() == ("next", expected)
            assert await stream.told() == ("complete", None)
            assert await stream.told() == ("end", None)
    headers = {**ACCEPT, "GraphQL-Require-Preflight": "1"}
    params = {"query": "query ($n: String!) { world(name: $n) { name } }", "variables": '{"n": "local"}'}
    async with served.session.get(f"{served.url}/graphql", params=params, headers=headers) as response:
        assert (await Stream(response).told())[1] == {"data": {"world": {"name": "local"}}}


async def test_what_is_wrong_is_told_as_everywhere(served: Served) -> None:
    for query, code in (
        ("{ nothing }", "BAD_REQUEST"),
        ("{", "BAD_REQUEST"),
        ("query A { version } query B { version }", None),
        (
            "{ worlds { services { nodes { deployments(first: 100) { nodes { release { id } } } } } } }",
            "TOO_COSTLY",
        ),
        ('subscription { transitions(world: "nowhere") { ... on TransitionBatch { cursor } } }', "NOT_FOUND"),
    ):
        async with events_of(served, query) as stream:
            name, result = await stream.told()
            assert name == "next"
            if code is not None:
                assert result["errors"][0]["extensions"]["code"] == code
            assert (await stream.told())[0] == "complete"
    async with events_of(
        served, 'mutation { setSecret(name: "n", value: "hunter2", x: "hunter2") }'
    ) as stream:
        assert "hunter2" not in str(await stream.told())
    for body, status in (({"query": 1}, 400), ({}, 400)):
        async with served.session.post(f"{served.url}/graphql", json=body, headers=ACCEPT) as response:
            assert response.status == status


async def test_a_subscription_goes_on_until_its_client_has_gone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK", 0.05)
    before = len(served.api.bus._listeners)
    async with events_of(served, FOLLOW) as stream:
        assert (await stream.told())[1]["data"]["transitions"]["transitions"] == []
        await born(served, 2)
        seen: list[int] = []
        while len(seen) < 2:
            _, result = await stream.told()
            seen += [one["seq"] for one in result["data"]["transitions"]["transitions"]]
        assert seen == [1, 2]
        await listeners(served, before + 1)
        stream.response.close()
    await listeners(served, before)


async def test_silence_is_broken_by_comments(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with events_of(served, FOLLOW) as stream:
        while (await stream.told())[0] == "comment":
            pass
        assert [(await stream.told())[0] for _ in range(3)] == ["comment"] * 3
        await born(served, 1)
        while (told := await stream.told())[0] == "comment":
            pass
        assert told[1]["data"]["transitions"]["transitions"] == [{"seq": 1}]


async def test_a_server_that_stops_ends_it_without_complete(database: Database) -> None:
    """Else its client would not come back."""
    took = 1.0
    for _ in range(3):  # where the machine stands still for a moment, it is not to blame
        async with serve(database) as served, events_of(served, FOLLOW) as stream:
            assert (await stream.told())[0] == "next"
            began = asyncio.get_running_loop().time()
            await served.running.close()
            assert await stream.told() == ("end", None)
            took = min(took, asyncio.get_running_loop().time() - began)
    assert took < 1, "nobody waited for it"


async def test_it_ends_when_its_token_does_not_count_any_more(
    strict: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "RECHECK", 0.05)
    system = await worlds.get(strict.db, SYSTEM)
    assert system is not None
    await tokens.add(strict.db, system.world_id, "ada", Role.VIEWER, "ada-0123456789abcdef0123456789abcdef")
    headers = {"Authorization": "Bearer ada-0123456789abcdef0123456789abcdef"}
    async with events_of(strict, FOLLOW, headers) as stream:
        assert (await stream.told())[0] == "next"
        await strict.db.pool.execute("update tokens set revoked_at = now()")
        await born(strict, 1)
        while "errors" not in (told := await stream.told())[1]:
            pass
        assert told[1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert await stream.told() == ("complete", None)
    async with strict.session.post(
        f"{strict.url}/graphql", json={"query": FOLLOW}, headers={**ACCEPT, **headers}
    ) as response:
        assert response.status == 401


async def test_a_client_that_takes_nothing_is_cut_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PATIENCE", 0.1)
    write, given_up = events._write, asyncio.Event()

    async def noted(*args: Any) -> None:
        try:
            await write(*args)
        except TimeoutError:
            given_up.set()
            raise

    monkeypatch.setattr(events, "_write", noted)
    driver = Talking(["x" * 200_000] * 100)  # more than the sockets hold
    async with serve(database, driver=driver) as served:
        await served.committer.store(births=(served.service("cart"),))
        query = 'subscription { logs(world: "local", service: "cart") { lines { text } } }'
        body = json.dumps({"query": query})
        reader, writer = await asyncio.open_connection("127.0.0.1", served.running.port, limit=1024)
        writer.write(
            f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert b" 200 " in await reader.readline()
        await asyncio.wait_for(given_up.wait(), 30)  # until then nothing is read
        received = 0
        try:
            async with asyncio.timeout(10):
                while piece := await reader.read(1024 * 1024):
                    received += len(piece)
        except ConnectionError:
            pass
        assert received < 100 * 200_000
        writer.transport.abort()
