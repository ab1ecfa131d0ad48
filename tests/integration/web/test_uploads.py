"""POST /api/v1/uploads, and what deploys it."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from deployd.model.actor import Role
from deployd.model.world import SYSTEM
from deployd.store import tokens, worlds
from deployd.web import guard, uploads
from tests.integration.web.server import Served

CONTENT = gzip.compress(b"x" * 1000)
GZIP = {"Content-Type": "application/gzip"}
DEPLOY = """mutation ($input: DeployInput!) { deploy(input: $input) {
  ... on Change { id directory repository ref commit upload }
  ... on Problem { code message remedy path } } }"""


async def send(
    served: Served, content: Any = CONTENT, query: str = "?world=local", **headers: str
) -> tuple[int, Any]:
    url = f"{served.url}/api/v1/uploads{query}"
    async with served.session.post(url, data=content, headers={**GZIP, **headers}) as response:
        return response.status, await response.json()


async def stored(served: Served) -> int:
    return int(await served.db.pool.fetchval("select count(*) from uploads"))


async def deploy(served: Served, **given: object) -> Any:
    return (await served.data(DEPLOY, input={"world": "local", **given}))["deploy"]


async def test_an_upload_is_kept_and_can_be_deployed(served: Served) -> None:
    status, answer = await send(served)
    assert status == 200
    assert await stored(served) == 2
    change = await deploy(served, upload=answer["upload"])
    assert change.pop("id")
    assert change == {
        "directory": None,
        "repository": None,
        "ref": None,
        "commit": None,
        "upload": answer["upload"],
    }


async def test_more_than_other_requests_may_have(served: Served) -> None:
    large = CONTENT + bytes(3 * guard.LARGEST)
    assert (await send(served, io.BytesIO(large)))[0] == 200

    async def pieces() -> AsyncIterator[bytes]:  # chunked: nobody knows the length before
        for begin in range(0, len(large), 100_000):
            yield large[begin : begin + 100_000]

    assert (await send(served, pieces()))[0] == 200


async def test_too_much_is_refused_by_its_announced_length_and_by_what_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "UPLOAD_MAXIMUM", 10_000)
    status, answer = await send(served, CONTENT + bytes(10_000))
    assert (status, answer["code"]) == (413, "TOO_LARGE")
    monkeypatch.setattr("deployd.engine.wanted.UPLOAD_MAXIMUM", 10_000)

    async def pieces() -> AsyncIterator[bytes]:
        yield CONTENT + bytes(10_000)

    status, answer = await send(served, pieces())
    assert (status, answer["code"]) == (400, "INVALID_INPUT")
    assert answer["remedy"]
    assert await stored(served) == 0


async def test_wrong_requests(served: Served) -> None:
    for query, status, code in (
        ("", 400, "INVALID_INPUT"),
        ("?world=a&world=b", 400, "INVALID_INPUT"),
        ("?world=locl", 404, "NOT_FOUND"),
    ):
        found, answer = await send(served, query=query)
        assert (found, answer["code"]) == (status, code)
    assert (await send(served, b"no gzip"))[1]["message"] == "the upload is no tar.gz"
    assert (await send(served, **{"Content-Type": "application/json"}))[0] == 415
    assert (await send(served, Origin="http://evil.example"))[0] == 403
    assert (await send(served, Host="evil.example"))[0] == 421
    assert await stored(served) == 0


async def test_who_may(strict: Served) -> None:
    system = await worlds.get(strict.db, SYSTEM)
    assert system is not None
    assert (await send(strict))[0] == 401
    for role, wanted in ((Role.VIEWER, 403), (Role.DEVELOPER, 200)):
        await tokens.add(strict.db, system.world_id, str(role), role, f"token-{role}")
        assert (await send(strict, Authorization=f"Bearer token-{role}"))[0] == wanted
    assert await stored(strict) == 2


async def test_a_client_that_goes_away_leaves_nothing(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.running.port)
    head = "POST /api/v1/uploads?world=local HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Type: application/gzip\r\nContent-Length: 9000000\r\n\r\n".encode())
    writer.write(CONTENT + bytes(2 * 1024**2))
    await writer.drain()
    async with asyncio.timeout(10):
        while not await stored(served):
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while await stored(served):
            await asyncio.sleep(0.01)
    del reader


async def test_a_client_that_falls_silent(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SILENCE", 0.2)

    async def silent() -> AsyncIterator[bytes]:
        yield CONTENT
        await asyncio.sleep(30)

    try:
        status, answer = await send(served, silent())
        assert (status, answer["code"]) == (408, "REQUEST_TIMEOUT")
    except aiohttp.ClientConnectionError:
        pass  # it may be cut off before the answer is read
    assert await stored(served) == 0


# -- what else `deploy` takes


async def test_what_is_wrong_with_a_source_is_told_where_it_is(served: Served) -> None:
    upload = "0190a000-0000-7000-8000-000000000000"
    for given, path, code in (
        ({}, ["input"], "INVALID_INPUT"),
        ({"directory": "/", "upload": upload}, ["input"], "INVALID_INPUT"),
        ({"upload": upload}, ["input", "upload"], "NOT_FOUND"),
        ({"upload": "x"}, ["input", "upload"], "INVALID_INPUT"),
        ({"repository": {"url": "http://x/y"}}, ["input", "repository", "url"], "INVALID_INPUT"),
        ({"repository": {"url": "/x", "ref": "-x"}}, ["input", "repository", "ref"], "INVALID_INPUT"),
        ({"world": "none", "upload": upload}, ["input", "world"], "NOT_FOUND"),
    ):
        problem = await deploy(served, **given)
        assert (problem["path"], problem["code"]) == (path, code), given
        assert problem["remedy"]


async def test_a_password_in_an_address_is_nowhere_to_be_seen(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    problem = await deploy(served, repository={"url": "https://ada:hunter2@git.example.com/shop"})
    assert problem["path"] == ["input", "repository", "url"]
    assert "git-credentials" in problem["remedy"]
    assert "hunter2" not in str(problem)
    assert "hunter2" not in caplog.text
    assert await served.db.pool.fetchval("select count(*) from machines") == 0


async def test_a_repository_is_told_by_its_change(served: Served) -> None:
    change = await deploy(served, repository={"url": "https://git.example.com/shop", "ref": "v1"})
    assert change.pop("id")
    assert change == {
        "directory": None,
        "repository": "https://git.example.com/shop",
        "ref": "v1",
        "commit": None,
        "upload": None,
    }
