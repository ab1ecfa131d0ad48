"""Listening, stopping, and how the server does."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from deployd.drivers.port_holder import holder
from deployd.errors import SettingsError
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.embedded import EmbeddedPostgres
from deployd.store.migrator import migrate
from deployd.web import serving
from tests.conftest import at, scratch, statement
from tests.integration.web.server import Served, serve

FOLLOW = 'subscription { transitions(world: "local") { ... on TransitionBatch { cursor } } }'


async def get(served: Served, path: str) -> tuple[int, dict[str, Any]]:
    async with served.session.get(served.url + path) as response:
        return response.status, await response.json()


async def test_a_taken_port_is_told_with_its_holder(served: Served) -> None:
    port = served.running.port
    with pytest.raises(SettingsError) as caught:
        await serving.start(web.Application(), "127.0.0.1", port)
    assert f"port {port} of 127.0.0.1 is taken by " in caught.value.message
    assert f"(process {os.getpid()})" in caught.value.message
    assert "DEPLOYD_PORT" in caught.value.remedy


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_another_machine_is_told(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await serving.start(web.Application(), host, 0)
    assert "DEPLOYD_HOST" in caught.value.remedy


async def test_ipv6_has_a_url() -> None:
    try:
        running = await serving.start(web.Application(), "::1", 0)
    except SettingsError:
        pytest.skip("no IPv6 here")
    async with running:
        assert running.url == f"http://[::1]:{running.port}"


def test_nobody_holds_a_free_port() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert holder(probe.getsockname()[1]) is None
        probe.listen()
        assert f"(process {os.getpid()})" in str(holder(probe.getsockname()[1]))


def test_where_there_is_no_proc_nobody_is_known(tmp_path: Path) -> None:
    assert holder(80, tmp_path) is None


async def test_stopping_closes_subscriptions_with_1001_and_refuses_what_is_new(served: Served) -> None:
    async with served.connect() as one, served.connect() as silent:
        await one.init()
        await one.subscribe(FOLLOW)
        await one.next()
        began = time.monotonic()
        stopping = asyncio.create_task(served.running.close())
        assert await one.closed() == aiohttp.WSCloseCode.GOING_AWAY
        await stopping  # although `silent` never answers
        assert time.monotonic() - began < 8
        with pytest.raises(aiohttp.ClientConnectorError):
            await served.session.get(f"{served.url}/healthz")
        assert await silent.closed() > 1000


async def test_stopping_lets_requests_finish_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def short(_: web.Request) -> web.Response:
        begun.set()
        await asyncio.sleep(0.2)
        return web.Response(text="done")

    async def endless(_: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()
        raise AssertionError

    app = web.Application()
    app.router.add_get("/short", short)
    app.router.add_get("/endless", endless)
    async with aiohttp.ClientSession() as session:
        with monkeypatch.context() as patient:  # a machine may stand still for longer than a second
            patient.setattr(serving, "_GRACE", 10)
            patient.setattr(serving, "_LIMIT", 30)
            running = await serving.start(app, "127.0.0.1", 0)
            answer = asyncio.create_task(session.get(f"{running.url}/short"))
            await begun.wait()
            await running.close()
        assert await (await answer).text() == "done"

        running = await serving.start(app, "127.0.0.1", 0)
        begun.clear()
        asking = asyncio.create_task(session.get(f"{running.url}/endless"))
        await begun.wait()
        began = time.monotonic()
        await running.close()
        assert time.monotonic() - began < 8
        with pytest.raises(aiohttp.ClientError):
            await asking
        assert cancelled.is_set()


async def test_a_server_that_works_says_so(served: Served) -> None:
    assert await get(served, "/healthz") == (200, {"status": "ok"})
    assert await get(served, "/readyz") == (200, {"status": "ok"})


async def test_what_works_without_a_database_and_what_does_not() -> None:
    home = scratch("deployd-test-")
    server = EmbeddedPostgres(home / "postgres")
    try:
        dsn = await server.start()
        async with Database(dsn) as db:
            await migrate(dsn)
            await worlds.add(db, "local", {})
            async with serve(db, trust_loopback=False) as served:
                assert (await get(served, "/readyz"))[0] == 200
                async with served.connect() as waiting:
                    await server.stop()
                    assert await get(served, "/healthz") == (200, {"status": "ok"})
                    status, answer = await get(served, "/readyz")
                    assert (status, answer["code"]) == (503, "POSTGRES_UNAVAILABLE")
                    headers = {"Authorization": "Bearer 0123456789abcdef"}
                    async with served.session.post(
                        f"{served.url}/graphql", json={"query": "{ version }"}, headers=headers
                    ) as response:
                        assert response.status == 503
                        answer = await response.json()
                        assert answer["code"] == "POSTGRES_UNAVAILABLE"
                        assert str(home) not in str(answer)
                    await waiting.send(
                        type="connection_init", payload={"authorization": headers["Authorization"]}
                    )
                    assert await waiting.closed() == 4500
    finally:
        await server.stop()
        shutil.rmtree(home, ignore_errors=True)


async def test_a_database_without_the_schema_is_not_ready(postgres: str, database: Database) -> None:
    await statement(postgres, "create database empty")
    try:
        async with serve(database) as served, Database(at(postgres, "empty")) as empty:
            from dataclasses import replace

            from deployd.web.application import application

            app = application(replace(served.api, db=empty), trust_loopback=True)
            async with (
                await serving.start(app, "127.0.0.1", 0) as running,
                served.session.get(f"{running.url}/readyz") as response,
            ):
                assert response.status == 503
                assert (await response.json())["code"] == "NOT_MIGRATED"
    finally:
        await statement(postgres, "drop database empty with (force)")
