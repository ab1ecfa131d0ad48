"""graphql-transport-ws to the letter, where the wrong message would otherwise end in silence."""

from __future__ import annotations

import json

import aiohttp
import pytest

from deployd.store import transitions
from tests.integration.web.server import Served

FOLLOW = 'subscription { transitions(world: "local") { ... on TransitionBatch { transitions { seq } } } }'


OTHER_SUBPROTOCOLS: list[list[str]] = [["graphql-ws"], [], ["soap"]]


async def test_other_subprotocols_are_refused(served: Served) -> None:
    for protocols in OTHER_SUBPROTOCOLS:
        async with served.connect(protocols=protocols) as ws:
            assert ws.ws.protocol is None
            assert await ws.closed() == 4406


async def test_the_right_one_is_taken_among_others(served: Served) -> None:
    async with served.connect(protocols=["graphql-ws", "graphql-transport-ws"]) as ws:
        assert ws.ws.protocol == "graphql-transport-ws"
        await ws.init()


NO_MESSAGES = [
    "[]",
    "null",
    "1",
    '"text"',
    "{",
    "",
    "{}",
    "[" * 50_000,
    '{"type": "unknown"}',
    '{"type": null}',
    '{"type": ["subscribe"]}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{ version }"}}',
    '{"type": "subscribe", "id": null, "payload": {"query": "{ version }"}}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ version }"}}',
    '{"type": "subscribe", "id": ["1"], "payload": {"query": "{ version }"}}',
    '{"type": "subscribe", "id": "1", "payload": "{ version }"}',
    '{"type": "subscribe", "id": "1", "payload": {}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": null}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ version }", "variables": []}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ version }", "operationName": 1}}',
    '{"type": "complete"}',
    '{"type": "complete", "id": 1}',
]


async def test_what_is_no_message_closes_with_4400(served: Served) -> None:
    for frame in NO_MESSAGES:
        async with served.connect() as ws:
            await ws.init()
            await ws.ws.send_str(frame)
            assert await ws.closed() == 4400


async def test_a_binary_frame_closes_with_4400(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.ws.send_bytes(b'{"type": "ping"}')
        assert await ws.closed() == 4400


async def test_a_frame_that_is_too_large_closes(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.ws.send_str(" " * (1024 * 1024 + 1))
        assert await ws.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_introducing_oneself_twice_and_ids_twice_close(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.send(type="connection_init")
        assert await ws.closed() == 4429
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW)
        await ws.next()
        await ws.subscribe(FOLLOW)
        assert await ws.closed() == 4409


async def test_pings_are_answered(served: Served) -> None:
    async with served.connect() as ws:
        await ws.send(type="ping")
        assert (await ws.receive())["type"] == "pong"
        await ws.init()


@pytest.mark.parametrize("document", ["{", "{ nothing }", ""])
async def test_a_wrong_document_ends_its_own_operation_only(served: Served, document: str) -> None:
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW, id="good")
        await ws.next()
        await ws.subscribe(document, id="bad")
        answer = await ws.receive()
        assert (answer["type"], answer["id"]) == ("error", "bad")
        assert answer["payload"][0]["message"]
        await served.committer.store(births=(served.deployment(),))
        assert (await ws.next())["data"]["transitions"]["transitions"] == [{"seq": 1}]
        await ws.send(type="complete", id="good")
        await ws.subscribe("{ version }", id="good")
        assert set((await ws.next())["data"]) == {"version"}


async def test_unexpected_errors_are_masked_over_both(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("the secret of the house")

    monkeypatch.setattr(transitions, "read_page", broken)
    answer = await served.post('{ transitions(world: "local") { ... on TransitionBatch { cursor } } }')
    (error,) = answer["errors"]
    assert error["message"] == "internal error"
    assert "secret" not in json.dumps(answer)
    assert error["extensions"]["id"] in caplog.text

    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW)
        await ws.next()
        event = await ws.next()
        assert event["errors"][0]["message"] == "internal error"
        assert "secret" not in json.dumps(event)
        assert event["errors"][0]["extensions"]["id"] in caplog.text
        assert (await ws.receive())["type"] == "complete"
    assert "the secret of the house" in caplog.text
