"""What a web page, a rebound name or a wrong client can send, and what it gets."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest

from tests.integration.web.server import PROTOCOL, Served

QUERY = json.dumps({"query": "{ version }"})
JSON = {"Content-Type": "application/json"}


async def post(served: Served, data: Any = QUERY, **headers: str) -> tuple[int, dict[str, Any]]:
    url, headers = f"{served.url}/graphql", {**JSON, **headers}
    async with served.session.post(url, data=data, headers=headers) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


OWN_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "LOCALHOST",
    "localhost:1",
    "127.0.0.1:7070",
    "[::1]:7070",
]


async def test_own_hosts_are_answered(served: Served) -> None:
    for host in OWN_HOSTS:
        status, answer = await post(served, Host=host)
        assert status == 200
        assert set(answer["data"]) == {"version"}


FOREIGN_HOSTS = [
    "rebound.example",
    "rebound.example:7070",
    "localhost.rebound.example",
    "localhost.",
    "127.0.0.1.nip.io",
    "0.0.0.0",
    "localhost@rebound.example",
    "localhost:port",
    "[::2]",
    "",
]


async def test_foreign_hosts_are_refused(served: Served) -> None:
    for host in FOREIGN_HOSTS:
        status, answer = await post(served, Host=host)
        assert (status, answer["code"]) == (421, "UNKNOWN_HOST")
        assert "localhost" in answer["remedy"]


PATHS = ["/graphql", "/healthz", "/readyz", "/nowhere"]


async def test_no_path_is_left_out(served: Served) -> None:
    for path in PATHS:
        async with served.session.get(served.url + path, headers={"Host": "rebound.example"}) as response:
            assert response.status == 421


async def test_a_request_without_a_host_is_refused(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.running.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_own_origins_are_answered(served: Served) -> None:
    port = served.running.port
    for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", f"http://[::1]:{port}"):
        assert (await post(served, Origin=origin))[0] == 200
    assert (await post(served, Host="localhost", Origin="http://localhost"))[0] == 200
    assert (await post(served, Host="localhost", Origin="https://localhost:443"))[0] == 200


FOREIGN_ORIGINS = [
    "https://evil.example",
    "null",
    "http://localhost",
    "http://localhost:1",
    "file://localhost:{port}",
    "http://localhost:{port}/",
    "http://localhost:{port}.evil.example",
    "http://evil.example:{port}",
    "",
]


async def test_foreign_origins_are_refused(served: Served) -> None:
    for pattern in FOREIGN_ORIGINS:
        origin = pattern.format(port=served.running.port)
        status, answer = await post(served, Origin=origin)
        assert (status, answer["code"]) == (403, "FOREIGN_ORIGIN")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await served.session.ws_connect(
                f"{served.url}/graphql", headers={"Origin": origin}, protocols=[PROTOCOL]
            )
        assert caught.value.status == 403


async def test_a_websocket_of_a_rebound_name_is_refused(served: Served) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await served.session.ws_connect(
            f"{served.url}/graphql", headers={"Host": "rebound.example"}, protocols=[PROTOCOL]
        )
    assert caught.value.status == 421


async def test_a_websocket_of_an_own_page_opens(served: Served) -> None:
    async with served.connect({"Origin": f"http://localhost:{served.running.port}"}) as socket:
        await socket.init()


SIMPLE_CONTENT_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
    "",
]


async def test_what_a_page_may_send_without_asking_is_refused(served: Served) -> None:
    for content_type in SIMPLE_CONTENT_TYPES:
        status, answer = await post(served, **{"Content-Type": content_type})
        assert (status, answer["code"]) == (415, "CONTENT_TYPE")


async def test_json_may_name_its_charset(served: Served) -> None:
    assert (await post(served, **{"Content-Type": "application/json; charset=utf-8"}))[0] == 200


async def test_large_content_is_refused_whether_announced_or_not(served: Served) -> None:
    status, answer = await post(served, io.BytesIO(b" " * (1024 * 1024 + 1)))
    assert (status, answer["code"]) == (413, "TOO_LARGE")

    async def chunks() -> Any:
        for _ in range(17):
            yield b" " * 65536

    status, answer = await post(served, chunks())
    assert status == 413
    assert set(answer) == {"code", "message", "remedy"}
    whole = QUERY + " " * (1024 * 1024 - len(QUERY))
    assert (await post(served, io.BytesIO(whole.encode())))[0] == 200


async def test_other_methods_are_refused(served: Served) -> None:
    async with served.session.get(f"{served.url}/graphql") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert "POST" in (await response.json())["message"]
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"):
        async with served.session.request(method, f"{served.url}/graphql") as response:
            assert response.status == 405
            assert "Access-Control-Allow-Origin" not in response.headers


PREFLIGHTED = [
    {"Content-Type": "application/json"},
    {"GraphQL-Require-Preflight": "1"},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
]

# What a page of another origin can make a browser send without asking first.
SIMPLE = [
    {},
    {"Accept": "application/graphql-response+json"},
    {"Content-Type": "text/plain"},
    {"Accept": "text/event-stream", "Cache-Control": "no-cache"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
]


async def get(served: Served, headers: Any, **params: str) -> tuple[int, Any]:
    async with served.session.get(f"{served.url}/graphql", params=params, headers=headers) as response:
        return response.status, await response.json()


async def test_a_query_by_get_has_to_be_one_that_no_page_could_cause(served: Served) -> None:
    for headers in PREFLIGHTED:
        status, answer = await get(served, headers, query="{ version }")
        assert status == 200
        assert answer["data"]["version"]
    for headers in SIMPLE:
        status, answer = await get(served, headers, query="{ version }")
        assert (status, answer["code"]) == (403, "FORGEABLE"), headers
    status, answer = await get(served, {"Authorization": "Bearer wrong"}, query="{ version }")
    assert (status, answer["code"]) == (401, "UNAUTHENTICATED")


async def test_mutations_need_a_post(served: Served) -> None:
    mutation = 'mutation { createWorld(name: "other") { __typename } }'
    status, answer = await get(served, PREFLIGHTED[0], query=mutation)
    assert (status, answer["code"]) == (405, "METHOD_NOT_ALLOWED")
    events = PREFLIGHTED[0] | {"Accept": "text/event-stream"}
    async with served.session.get(
        f"{served.url}/graphql", params={"query": mutation}, headers=events
    ) as response:
        assert "mutations are not allowed" in await response.text()
    assert await served.data('{ world(name: "other") { name } }') == {"world": None}


async def test_what_a_browser_says_of_a_foreign_page_is_believed(served: Served) -> None:
    for site in ("cross-site", "same-site", "nonsense"):
        for mode in ("no-cors", "cors", "websocket"):
            status, answer = await get(served, {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode})
            assert (status, answer["code"]) == (403, "FOREIGN_ORIGIN")
        assert (await post(served, **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}))[0] == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
    async with served.session.get(
        f"{served.url}/graphql", params={"query": "{ version }"}, headers=link
    ) as response:
        assert response.status == 200
        assert response.content_type == "text/html", "a link shows the page, and executes nothing"
    assert (await post(served, **{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}))[0] == 200


NO_OPERATIONS = [
    {"query": ""},
    {"query": "{ version }", "variables": "[]"},
    {"query": "{ version }", "variables": "{"},
    {"query": "{ version }", "extensions": "1"},
]


async def test_addresses_that_are_no_query_are_told_so(served: Served) -> None:
    for params in NO_OPERATIONS:
        status, answer = await get(served, PREFLIGHTED[0], **params)
        assert (status, answer["code"]) == (400, "BAD_REQUEST"), params
    twice = f"{served.url}/graphql?query=%7Bversion%7D&query=%7Bversion%7D"
    async with served.session.get(twice, headers=PREFLIGHTED[0]) as response:
        assert response.status == 400
        assert "2 times" in (await response.json())["message"]


async def test_what_is_nowhere_is_a_problem_too(served: Served) -> None:
    async with served.session.get(f"{served.url}/nowhere") as response:
        assert response.status == 404
        assert (await response.json())["code"] == "NOT_FOUND"


NO_QUERIES = [
    "null",
    "[]",
    '"text"',
    "1",
    "{}",
    "{",
    "",
    "[" * 100_000,
    '{"query": 1}',
    '{"query": "{ version }", "variables": []}',
    '[{"query": "{ version }"}]',
    b"\xff",
]


async def test_bodies_that_are_no_query_are_told_so(served: Served) -> None:
    for body in NO_QUERIES:
        status, answer = await post(served, body)
        assert (status, answer["code"]) == (400, "BAD_REQUEST"), answer
