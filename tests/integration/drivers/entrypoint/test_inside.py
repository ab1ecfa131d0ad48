"""Internal addresses: reserved once, the same for ever, whatever answers there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import aiohttp
import pytest

from deployd.drivers.api import Endpoint, ServiceRef, Target
from deployd.errors import Retryable
from tests.integration.drivers.entrypoint.place import Client, Place, alive, saying, serving, until
from tests.ports import INSIDE


@asynccontextmanager
async def at(endpoint: Endpoint | None) -> AsyncIterator[Client]:
    """A client of an internal address."""
    assert endpoint is not None
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def test_an_address_is_known_first_and_stays(here: Place) -> None:
    endpoint = await here.router().reserve(here.service, "http")
    assert (endpoint.host, endpoint.url) == ("127.0.0.1", f"http://127.0.0.1:{endpoint.port}")
    assert endpoint.port in INSIDE
    async with serving(saying("one")) as one, serving(saying("two")) as two:
        for service in (one, two):
            assert (await here.route(service)).endpoint == endpoint
            assert await here.router().reserve(here.service, "http") == endpoint
        await here.router().unroute(here.service, "is suspended")
        assert await here.router().reserve(here.service, "http") == endpoint
        assert (await here.route(one)).endpoint == endpoint
        async with at(endpoint) as client:
            assert (await client.get(host="whatever")).body == b"one"
            await client.send("GET / HTTP/1.1\r\n\r\n")
            assert (await client.answer()).body == b"one"
            await client.send("GET / HTTP/1.0\r\n\r\n")
            assert (await client.answer()).body == b"one"
            assert one.values("x-forwarded-for") == ["127.0.0.1"]


async def test_what_is_not_routed_says_so(here: Place) -> None:
    other = ServiceRef(1, "local", uuid4(), "other")
    async with serving(saying("hello")) as one:
        await here.route(one)
        endpoint = await here.router().reserve(other, "http")
        async with at(endpoint) as client:
            answer = await client.get()
            assert (answer.status, answer.body) == (503, b"service other is not served yet\n")
            await here.router().route(other, [Target(one.address)])
            assert (await client.get()).body == b"hello"
            await here.router().unroute(other, "is suspended")
            answer = await client.get()
            assert (answer.status, answer.body) == (503, b"service other is suspended\n")
            await here.router().unroute(other)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(endpoint.host, endpoint.port)


async def test_two_processes_reserve_the_same_and_no_two_services_one(here: Place) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from uuid import UUID\n"
        "from deployd.drivers.api import DriverContext, ServiceRef\n"
        "from deployd.drivers.entrypoint.driver import create\n"
        "home, *services = sys.argv[1:]\n"
        "router = create({}, DriverContext(Path(home), 'here'))\n"
        "async def main():\n"
        "    refs = [ServiceRef(1, 'local', UUID(one), one) for one in services]\n"
        "    print([one.port for one in await asyncio.gather(*(router.reserve(r, 'http') for r in refs))])\n"
        "asyncio.run(main())\n"
    )
    # All of them would like the same port.
    services = [f"00000000-0000-0000-0000-{one * 600:012x}" for one in range(1, 9)]
    home = str(here.home / "drivers" / "route-local")
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, home, *services, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [json.loads((await one.communicate())[0]) for one in started]
    assert said[0] == said[1] == said[2]
    assert len(set(said[0])) == len(services)
    assert all(30_000 <= port <= 30_599 for port in said[0])  # where nothing else is said


async def test_a_range_that_is_used_up_is_told(here: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        router = here.router(first_port=port, last_port=port)
        with pytest.raises(Retryable, match=f"no port from {port} to {port} is free"):
            await router.reserve(here.service, "http")
    endpoint = await router.reserve(here.service, "http")
    assert endpoint.port == port
    with pytest.raises(Retryable):
        await router.reserve(ServiceRef(1, "local", uuid4(), "other"), "http")


async def test_a_port_that_somebody_took_is_told_and_had_once_it_is_free(here: Place) -> None:
    endpoint = await here.router().reserve(here.service, "http")
    async with serving(saying("hello")) as one:
        with socket.create_server((endpoint.host, endpoint.port)):
            routed = await here.route(one)
            assert routed.endpoint == endpoint
            assert f"its internal address 127.0.0.1:{endpoint.port} cannot be had" in routed.note
            assert (await here.get()).body == b"hello"
        assert (await here.route(one)).note == ""
        async with at(endpoint) as client:
            assert (await client.get()).body == b"hello"


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data.upper())
    writer.close()


async def test_a_service_that_does_not_speak_http_is_tunnelled_to(here: Place) -> None:
    endpoint = await here.router().reserve(here.service, "tcp")
    assert endpoint.url == f"tcp://127.0.0.1:{endpoint.port}"
    servers = [await asyncio.start_server(shout, "127.0.0.1", 0) for _ in range(2)]
    ports = [one.sockets[0].getsockname()[1] for one in servers]
    try:
        routed = await here.router().route(here.service, [Target(f"tcp://127.0.0.1:{ports[0]}")])
        assert (routed.url, routed.endpoint) == (None, endpoint)
        async with at(endpoint) as client:
            await client.send(b"\x00binary\xff")
            assert await client.reader.readexactly(8) == b"\x00BINARY\xff"
            moved = await here.router().route(here.service, [Target(f"tcp://127.0.0.1:{ports[1]}")])
            assert moved.draining == 1
            await client.send("still here")
            assert await client.reader.readexactly(10) == b"STILL HERE"
            client.writer.write_eof()
            assert await client.rest() == b""
        targets = [Target(f"tcp://127.0.0.1:{port}", 50) for port in ports]
        servers[1].close()  # it refuses: the other one stands in
        assert (await here.router().route(here.service, targets)).draining == 0
        for _ in range(4):
            async with at(endpoint) as client:
                await client.send("hello")
                assert await client.reader.readexactly(5) == b"HELLO"
        await here.router().route(ServiceRef(1, "local", uuid4(), "other"), targets)
        await here.router().unroute(here.service, "is suspended")
        with pytest.raises(ConnectionError):  # while it connects, or when it reads
            async with at(endpoint) as client:
                await client.rest()
    finally:
        for one in servers:
            one.close()


def _is_dead(pid: int) -> bool:
    return not alive(pid)


async def test_a_killed_proxy_comes_back_with_everything(here: Place) -> None:
    """Entrypoint, internal addresses of both kinds, weights and gates: all is in the table."""
    talker = ServiceRef(1, "local", uuid4(), "talker")
    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    try:
        async with serving(saying("hello")) as one, aiohttp.ClientSession() as session:
            address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            inside = (await here.route(one)).endpoint
            talking = (await here.router().route(talker, [Target(address)])).endpoint
            assert inside is not None
            for _ in range(3):
                pid = here.pid()
                os.kill(pid, signal.SIGKILL)
                await until(partial(_is_dead, pid), "it is dead")
                assert (await here.route(one)).note == ""  # one service's watch is enough for all
                assert here.pid() != pid
                async with session.get(inside.url) as answer:
                    assert await answer.text() == "hello"
                assert (await here.get()).body == b"hello"
                async with at(talking) as client:
                    await client.send("hello")
                    assert await client.reader.readexactly(5) == b"HELLO"
    finally:
        server.close()
