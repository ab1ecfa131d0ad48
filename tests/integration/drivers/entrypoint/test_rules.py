"""Who is asked for what: hosts, header fields, and what is refused."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from deployd.drivers.api import ServiceRef, Target
from tests.integration.drivers.entrypoint.place import Place, saying, serving
from tests.ports import free_port

TO = "/ HTTP/1.1\r\nHost: hello.localhost\r\n"


async def test_what_the_service_is_told_of_its_caller(here: Place) -> None:
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        await client.get(
            X_Forwarded_For="6.6.6.6",
            X_Forwarded_Proto="https",
            X_Forwarded_Prefix="/x",
            X_Real_IP="6.6.6.6",
            Forwarded="for=6.6.6.6",
        )
        assert service.values("host") == ["hello.localhost"]
        assert service.values("x-forwarded-for") == ["127.0.0.1"]
        assert service.values("x-forwarded-proto") == ["http"]
        assert service.values("x-forwarded-host") == ["hello.localhost"]
        assert service.values("forwarded") == ['for=127.0.0.1;host="hello.localhost";proto=http']
        assert service.values("x-forwarded-prefix") == service.values("x-real-ip") == []


async def test_what_is_meant_for_one_connection_goes_no_further(here: Place) -> None:
    fields = "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
    fields += "Set-Cookie: a\r\nSet-Cookie: b\r\n"
    async with serving(saying("hello", fields=fields)) as service, here.client_after(service) as client:
        answer = await client.get(
            Connection="X-Mine, Host, keep-alive",
            X_Mine="1",
            TE="trailers",
            Proxy_Authorization="Basic x",
            Upgrade="h2c",
            Accept="*/*",
        )
        assert service.values("host") == ["hello.localhost"]
        assert service.values("accept") == ["*/*"]
        assert service.values("connection") == ["close"]
        for name in ("x-mine", "te", "proxy-authorization", "upgrade"):
            assert service.values(name) == [], name
        assert answer.values("set-cookie") == ["a", "b"]
        for name in ("x-hop", "keep-alive", "connection"):
            assert answer.values(name) == [], name


@pytest.mark.parametrize("host", ["hello.localhost:7080", "HELLO.localhost", "hello.localhost."])
async def test_a_host_is_known_in_all_its_forms(here: Place, host: str) -> None:
    async with serving(saying("hello")) as service:
        await here.route(service)
        assert (await here.get(host=host)).body == b"hello"
        assert service.values("x-forwarded-host") == [host]


async def test_an_absolute_target_names_the_host(here: Place) -> None:
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        await client.send("GET http://hello.localhost/a?b HTTP/1.1\r\nHost: other.localhost\r\n\r\n")
        assert (await client.answer()).body == b"hello"
        assert service.heads[-1].startswith("GET /a?b HTTP/1.1\r\n")
        assert service.values("host") == ["hello.localhost"]


async def test_a_target_passes_as_it_is_written(here: Place) -> None:
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        await client.get("/a%2Fb//../c?d=%20&e=[]")
        assert service.heads[-1].startswith("GET /a%2Fb//../c?d=%20&e=[] HTTP/1.1\r\n")


async def test_an_unknown_host_is_told_the_known_ones(here: Place) -> None:
    other = ServiceRef(2, "Preview", uuid4(), "cart")
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        routed = await here.router().route(other, [Target(service.address)])
        assert routed.url == f"http://cart.preview.localhost:{here.port}"
        answer = await client.get(host="nobody.localhost")
        assert answer.status == 404
        assert answer.body.decode() == (
            "no service is called nobody.localhost here; there are:\n"
            "  cart.preview.localhost\n  hello.localhost\n"
        )
        assert (await client.get(host="cart.preview.localhost")).body == b"hello"


async def test_a_suspended_service_says_so_and_a_retired_one_is_forgotten(here: Place) -> None:
    other = ServiceRef(1, "local", uuid4(), "other")
    async with serving(saying("hello")) as service:
        await here.route(service)
        await here.router().route(other, [Target(service.address)])
        await here.router().unroute(here.service, "is suspended")
        answer = await here.get()
        assert (answer.status, answer.body) == (503, b"service hello is suspended\n")
        await here.router().unroute(here.service)
        assert (await here.get()).status == 404


async def test_a_service_that_does_not_answer_is_named(here: Place) -> None:
    port = free_port()
    await here.router().route(here.service, [Target(f"http://127.0.0.1:{port}")])
    answer = await here.get()
    assert answer.status == 502
    assert answer.body.decode() == f"service hello does not answer: connection refused at 127.0.0.1:{port}\n"


async def test_a_service_that_hangs_up_or_talks_nonsense_is_named(here: Place) -> None:
    async def silent(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async def nonsense(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example.com\r\n\r\n")

    async with serving(silent) as service, here.client_after(service) as client:
        answer = await client.get()
        assert (answer.status, answer.body) == (
            502,
            b"service hello ended the connection without an answer\n",
        )
        assert service.connections == 1
    async with serving(nonsense) as service, here.client_after(service) as client:
        answer = await client.get()
        assert answer.status == 502
        assert b"service hello does not speak HTTP/1.1" in answer.body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (f"GET {TO} folded: 1\r\n\r\n", 400),
        (f"GET {TO}Name : 1\r\n\r\n", 400),
        (f"GET {TO}X: a\rb\r\n\r\n", 400),
        (f"POST {TO}Content-Length: +1\r\n\r\n", 400),
        (f"POST {TO}Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            f"POST {TO}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (f"POST {TO}Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("CONNECT hello.localhost:80 HTTP/1.1\r\nHost: hello.localhost:80\r\n\r\n", 400),
        (f"GET {TO}X: " + "x" * 200_000 + "\r\n\r\n", 431),
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(here: Place, request_: str, status: int) -> None:
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        await client.send(request_)
        assert (await client.answer()).status == status
        assert await client.rest() == b""
        assert service.connections == 0


async def test_a_wrong_chunk_ends_the_request(here: Place) -> None:
    async def upload(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(upload) as service, here.client_after(service) as client:
        await client.send(f"POST {TO}Transfer-Encoding: chunked\r\n\r\n")
        await client.send("5\r\nhelloX\r\n0\r\n\r\n")
        assert await client.rest() == b""
