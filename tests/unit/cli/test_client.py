import asyncio
import contextlib
from typing import Any

import pytest
from aiohttp import web

from deployd.cli.client import Client
from deployd.cli.exits import ExitCode, ServerUnreachable, exit_code_of
from deployd.errors import (
    Conflict,
    DeploydError,
    Forbidden,
    ManifestError,
    NotFound,
    PostgresUnavailable,
    Unauthenticated,
)
from tests.ports import free_port
from tests.unit.cli.scripted import break_off, complete, scripted, send


def batch(*numbers: int) -> dict[str, Any]:
    return {"numbers": list(numbers), "cursor": f"c{numbers[-1]}"}


async def test_a_query_answers_its_data_and_carries_the_token():
    answers = [{"data": {"version": "1"}}]
    async with scripted(answers=answers) as server, Client(server.url, "secret") as client:
        assert await client.query("query { version }", {"a": 1}) == {"version": "1"}
    assert server.asked == [{"query": "query { version }", "variables": {"a": 1}}]
    assert server.authorizations == ["Bearer secret"]


async def test_an_error_is_raised_under_the_class_of_its_code():
    said = {
        "message": "there is no world 'x'",
        "extensions": {"code": "NOT_FOUND", "remedy": "Look.", "evidence": "seen"},
    }
    answers = [{"data": None, "errors": [said]}]
    async with scripted(answers=answers) as server, Client(server.url) as client:
        with pytest.raises(NotFound, match="there is no world 'x'") as raised:
            await client.query("query { x }")
    assert raised.value.remedy == "Look."
    assert raised.value.evidence == "seen"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("CONFLICT", Conflict),
        ("POSTGRES_UNAVAILABLE", PostgresUnavailable),
        ("FROM_A_LATER_VERSION", DeploydError),
    ],
)
async def test_a_problem_is_raised(code: str, expected: type[DeploydError]):
    problem = {"__typename": "Problem", "code": code, "message": "no", "remedy": "r", "evidence": "e"}
    async with scripted(answers=[{"data": {"deploy": problem}}]) as server, Client(server.url) as client:
        with pytest.raises(DeploydError) as raised:
            await client.mutate("mutation { deploy }", {})
    assert type(raised.value) is expected
    assert (raised.value.message, raised.value.remedy, raised.value.evidence) == ("no", "r", "e")


async def test_the_problems_of_a_manifest_stay_lines():
    problem = {
        "__typename": "Problem",
        "code": "INVALID_MANIFEST",
        "message": "a:1:1: x\nb:2:2: y",
        "remedy": "",
        "evidence": "",
    }
    async with scripted(answers=[{"data": {"deploy": problem}}]) as server, Client(server.url) as client:
        with pytest.raises(ManifestError) as raised:
            await client.mutate("mutation { deploy }", {})
    assert raised.value.problems == ("a:1:1: x", "b:2:2: y")


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (401, Unauthenticated, ExitCode.REFUSED),
        (403, Forbidden, ExitCode.REFUSED),
        (502, ServerUnreachable, ExitCode.UNREACHABLE),
        (404, ServerUnreachable, ExitCode.UNREACHABLE),
    ],
)
async def test_a_status_without_graphql_says_what_it_means(
    status: int, expected: type[DeploydError], code: ExitCode
):
    async with scripted(answers=[status]) as server, Client(server.url) as client:
        with pytest.raises(expected) as raised:
            await client.query("query { version }")
    assert exit_code_of(raised.value) == code


async def test_a_refusal_before_graphql_keeps_its_words():
    refusal = {"code": "UNAUTHENTICATED", "message": "not valid", "remedy": "Ask."}
    async with scripted(answers=[(401, refusal)]) as server, Client(server.url) as client:
        with pytest.raises(Unauthenticated, match="not valid") as raised:
            await client.query("query { version }")
    assert raised.value.remedy == "Ask."


async def test_nobody_listening_is_unreachable():
    async with scripted() as server:
        url = server.url
    async with Client(url) as client:
        with pytest.raises(ServerUnreachable, match=url):
            await client.query("query { version }")
        with pytest.raises(ServerUnreachable, match=url):
            await anext(client.subscribe("subscription { x }", {}, patience=0.2))


async def test_patience_asks_again():
    async with (
        scripted(answers=[502, 503, {"data": {"version": "1"}}]) as server,
        Client(server.url) as client,
    ):
        assert await client.query("query { version }", patience=5) == {"version": "1"}
    assert len(server.asked) == 3


async def test_a_subscription_ends_when_it_is_complete():
    async def stream(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await send(socket, numbers=batch(1, 2))
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}
        await send(socket, numbers=batch(3))
        await complete(socket)

    async with scripted(streams=[stream]) as server, Client(server.url, "secret") as client:
        seen = [one["numbers"] async for one in client.subscribe("subscription { n }", {"world": "w"})]
    assert seen == [[1, 2], [3]]
    assert server.introductions[0]["payload"] == {"authorization": "Bearer secret"}
    assert server.subscribed == [{"query": "subscription { n }", "variables": {"world": "w"}}]


async def test_a_broken_subscription_goes_on_behind_its_cursor():
    async def killed(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await send(socket, numbers=batch(1))
        await send(socket, numbers=batch(2))
        await break_off(socket)

    async def closed(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await send(socket, numbers=batch(3))
        await socket.close(code=1001)

    async def silent(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await socket.close(code=1013)

    async def last(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await send(socket, numbers=batch(4, 5))
        await complete(socket)

    losses: list[str] = []
    streams = [killed, closed, silent, last]
    async with scripted(streams=streams) as server, Client(server.url) as client:
        stream = client.subscribe("subscription { n }", {"after": "c0"}, lost=lambda: losses.append("lost"))
        seen = [number async for one in stream for number in one["numbers"]]
    assert seen == [1, 2, 3, 4, 5]
    assert [one["variables"]["after"] for one in server.subscribed] == ["c0", "c2", "c3", "c3"]
    assert losses == ["lost", "lost"]  # one break each, however many tries it takes


async def test_a_subscription_survives_a_server_that_starts_anew():
    async def first(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await send(socket, numbers=batch(1))
        await break_off(socket)

    async def second(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await send(socket, numbers=batch(2))
        await complete(socket)

    gone = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        port = free_port()
        before = await stack.enter_async_context(scripted(port=port, streams=[first]))
        client = await stack.enter_async_context(Client(before.url))
        async with contextlib.AsyncExitStack() as life:
            stream = client.subscribe("subscription { n }", {}, patience=10, lost=gone.set)
            assert (await anext(stream))["numbers"] == [1]
            waiting = asyncio.create_task(anext(stream))
            life.push_async_callback(stream.aclose)
            await gone.wait()
            await before.stop()
            after = await stack.enter_async_context(scripted(port=port, streams=[second]))
            assert (await waiting)["numbers"] == [2]
    assert after.subscribed[0]["variables"] == {"after": "c1"}


async def test_an_error_ends_a_subscription():
    async def stream(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        problem = {"message": "no such world", "extensions": {"code": "NOT_FOUND"}}
        await socket.send_json({"id": "1", "type": "error", "payload": [problem]})

    async with scripted(streams=[stream]) as server, Client(server.url) as client:
        with pytest.raises(NotFound, match="no such world"):
            await anext(client.subscribe("subscription { n }", {}))
    assert len(server.subscribed) == 1


@pytest.mark.parametrize(
    ("code", "expected"), [(4401, Unauthenticated), (4403, Forbidden), (4400, DeploydError)]
)
async def test_a_refused_subscription_is_not_tried_again(code: int, expected: type[DeploydError]):
    async def stream(socket: web.WebSocketResponse, payload: dict[str, Any]) -> None:
        await socket.close(code=code)

    async with scripted(streams=[stream]) as server, Client(server.url) as client:
        with pytest.raises(expected) as raised:
            await anext(client.subscribe("subscription { n }", {}))
    assert type(raised.value) is expected
    assert len(server.subscribed) == 1


CANCEL = "mutation Cancel($id: ID!) { cancel(id: $id) { __typename } }"


async def test_a_mutation_whose_answer_is_lost_is_asked_again_under_its_key():
    answers = [502, 502, {"data": {"cancel": {"__typename": "Change"}}}]
    async with scripted(answers=answers) as server, Client(server.url) as client:
        assert await client.mutate(CANCEL, {"id": "x"}) == {"__typename": "Change"}
    keys = {one["variables"]["idempotencyKey"] for one in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1
    assert "idempotencyKey: $idempotencyKey" in server.asked[0]["query"]


async def test_a_server_that_was_never_there_is_not_waited_for():
    async with Client("http://127.0.0.1:9") as client:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ServerUnreachable):
            await client.mutate(CANCEL, {"id": "x"})
        assert asyncio.get_running_loop().time() - began < 8


async def test_a_token_follows_no_redirect():
    """Neither by POST nor by a websocket, whose token is in its first message."""

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"{other.url}/graphql")

    application = web.Application()
    application.router.add_route("*", "/graphql", elsewhere)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with scripted(answers=[{"data": {"version": "1"}}]) as other, Client(url, "secret") as client:
            with pytest.raises(ServerUnreachable):
                await client.query("query { version }")
            with pytest.raises(ServerUnreachable):
                await anext(client.subscribe("subscription { x }", {}, patience=0.2))
            assert (other.asked, other.authorizations, other.introductions) == ([], [], [])
    finally:
        await runner.cleanup()
