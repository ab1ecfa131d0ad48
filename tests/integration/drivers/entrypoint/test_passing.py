"""Requests and answers pass whole, in both directions, whatever their framing."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tests.integration.drivers.entrypoint.place import PATIENCE, Client, Place, saying, serving, until

BIG = 48 * 1024 * 1024
PIECE = bytes(range(256)) * 256


async def test_an_answer_and_the_connection_is_kept(here: Place) -> None:
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        for _ in range(3):
            answer = await client.get()
            assert (answer.status, answer.body) == (200, b"hello")
            assert answer.values("connection") == []
    assert service.connections == 3


async def test_pipelined_requests_are_answered_in_order(here: Place) -> None:
    async def path(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(head.split()[1].decode())(head, reader, writer)

    async with serving(path) as service, here.client_after(service) as client:
        await client.send("".join(f"GET /{n} HTTP/1.1\r\nHost: hello.localhost\r\n\r\n" for n in range(5)))
        assert [(await client.answer()).body for _ in range(5)] == [f"/{n}".encode() for n in range(5)]


async def test_close_is_obeyed(here: Place) -> None:
    async with serving(saying("hello")) as service, here.client_after(service) as client:
        answer = await client.get(Connection="close")
        assert answer.values("connection") == ["close"]
        assert await client.rest() == b""


async def test_head_has_a_length_and_no_body(here: Place) -> None:
    async def head_only(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")

    async with serving(head_only) as service, here.client_after(service) as client:
        await client.send("HEAD / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        answer = await client.answer(bodiless=True)
        assert answer.values("content-length") == ["12345"]
        await client.send("HEAD / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        assert (await client.answer(bodiless=True)).status == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_answers_without_a_body(here: Place, status: str) -> None:
    async def bare(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode())
        await asyncio.sleep(30)  # the connection stays open: the body must not be waited for

    async with serving(bare) as service, here.client_after(service) as client:
        for _ in range(2):
            answer = await client.get()
            assert (answer.status, answer.values("etag")) == (int(status[:3]), ["x"])
            assert answer.values("transfer-encoding") == []


async def test_a_chunked_answer_without_its_trailers_and_extensions(here: Place) -> None:
    async def chunks(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        writer.write(b"5;ext=1\r\nhello\r\n006\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n")

    async with serving(chunks) as service, here.client_after(service) as client:
        for _ in range(2):
            answer = await client.get()
            assert answer.body == b"hello world"
            assert answer.values("trailer") == []


async def test_an_answer_until_the_end_is_framed_for_who_understands_it(here: Place) -> None:
    async def old(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async with serving(old) as service, here.client_after(service) as client:
        assert (await client.get()).body == b"all of it"
        assert (await client.get()).body == b"all of it"
        await client.send("GET / HTTP/1.0\r\nHost: hello.localhost\r\n\r\n")
        answer = await client.answer()
        assert answer.body == b"all of it"
        assert answer.values("transfer-encoding") == []


async def test_pieces_arrive_while_more_are_to_come(here: Place) -> None:
    go_on = asyncio.Event()

    async def slowly(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await go_on.wait()
        writer.write(b"data: 2\n\n")

    async with serving(slowly) as service, here.client_after(service) as client:
        await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        await client.head()
        assert await client.reader.readexactly(14) == b"9\r\ndata: 1\n\n\r\n"
        go_on.set()
        assert await client.reader.readexactly(14) == b"9\r\ndata: 2\n\n\r\n"
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"


async def echo(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for piece in request.content.iter_any():
        await answer.write(piece)
    return answer


async def chat(request: web.Request) -> web.WebSocketResponse:
    talk = web.WebSocketResponse(protocols=["chat"], max_msg_size=0)
    await talk.prepare(request)
    async for message in talk:
        if message.type is aiohttp.WSMsgType.BINARY:
            await talk.send_bytes(message.data)
        elif message.data == "bye":
            await talk.close(code=4001, message=b"as asked")
        else:
            await talk.send_str(message.data)
    return talk


async def big_pieces() -> AsyncIterator[bytes]:
    for _ in range(BIG // len(PIECE)):
        yield PIECE


async def test_a_large_body_streams_both_ways_at_once(here: Place) -> None:
    app = web.Application(client_max_size=0)
    app.router.add_post("/", echo)
    async with here.aiohttp(app), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{here.port}/"
        seen, size = hashlib.sha256(), 0
        async with session.post(url, data=big_pieces(), headers={"Host": "hello.localhost"}) as answer:
            async for piece in answer.content.iter_any():
                seen.update(piece)
                size += len(piece)
        assert size == BIG
        assert seen.digest() == hashlib.sha256(PIECE * (BIG // len(PIECE))).digest()
        assert here.memory() < 64 * 1024 * 1024


async def test_a_client_that_does_not_read_holds_the_service_back(here: Place) -> None:
    sent = 0

    async def flood(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(BIG // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    async with serving(flood) as service, here.client_after(service) as client:
        await client.send("GET / HTTP/1.0\r\nHost: hello.localhost\r\n\r\n")
        before = -1
        while sent != before:  # until it moves no more
            before = sent
            await asyncio.sleep(0.2)
        assert sent < BIG
        assert here.memory() < 64 * 1024 * 1024
        assert len((await client.answer()).body) == BIG


async def test_an_upload_of_a_length_byte_by_byte(here: Place) -> None:
    async def upload(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying((await reader.readexactly(11)).decode())(head, reader, writer)

    async with serving(upload) as service, here.client_after(service) as client:
        for _ in range(2):
            await client.send("POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 11\r\n\r\n")
            for letter in "hello world":
                await client.send(letter)
                await asyncio.sleep(0.01)
            assert (await client.answer()).body == b"hello world"
        assert service.values("content-length") == ["11"]


async def test_expect_continue_is_the_services_to_answer(here: Place) -> None:
    async def upload(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await saying((await reader.readexactly(5)).decode())(head, reader, writer)

    async with serving(upload) as service, here.client_after(service) as client:
        await client.send(
            "PUT / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await client.head() == "HTTP/1.1 100 Continue"
        await client.send("hello")
        assert (await client.answer()).body == b"hello"
        assert (await client.get(path="/nobody", host="nobody.localhost")).status == 404


async def test_an_interim_answer_and_a_refusal_in_one(here: Place) -> None:
    async def refuse(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(30)  # whoever waits for more waits in vain

    async with serving(refuse) as service, here.client_after(service) as client:
        await client.send("PUT / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 5\r\n\r\n")
        assert await client.head() == "HTTP/1.1 100 Continue"
        answer = await client.answer()
        assert (answer.status, answer.body) == (403, b"no")


async def test_a_refusal_before_the_body_was_sent_reaches_the_client(here: Place) -> None:
    refuse = saying("too large", status="413 Content Too Large")
    async with serving(refuse) as service, here.client_after(service) as client:
        await client.send(
            f"PUT / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: {BIG}\r\n\r\n" + "x" * 1000
        )
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"too large")
        assert await client.rest() == b""


async def test_a_websocket_is_a_tunnel(here: Place) -> None:
    app = web.Application()
    app.router.add_get("/chat", chat)
    async with here.aiohttp(app), aiohttp.ClientSession() as session:
        headers = {"Host": "hello.localhost"}
        url = f"http://127.0.0.1:{here.port}/chat"
        connecting = session.ws_connect(url, headers=headers, protocols=["chat"], max_msg_size=0)
        async with connecting as talk:
            assert talk.protocol == "chat"
            for text in ("one", "two"):
                await talk.send_str(text)
                assert await talk.receive_str() == text
            await talk.send_bytes(PIECE * 64)
            assert await talk.receive_bytes() == PIECE * 64
            await talk.send_str("bye")
            assert (await talk.receive()).type is aiohttp.WSMsgType.CLOSE
            assert talk.close_code == 4001


async def test_a_refused_upgrade_is_an_answer_like_any_other(here: Place) -> None:
    async with serving(saying("no", status="403 Forbidden")) as service, here.client_after(service) as client:
        for _ in range(2):
            answer = await client.get(Connection="Upgrade", Upgrade="websocket")
            assert (answer.status, answer.body) == (403, b"no")
        assert service.values("upgrade") == ["websocket"]


async def test_a_client_that_leaves_is_told_to_the_service(here: Place) -> None:
    left = asyncio.Event()

    async def wait(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()

    async with serving(wait) as service:
        async with here.client_after(service) as client:
            await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
            await until(lambda: service.heads, "it arrives")
            assert not left.is_set()
        await asyncio.wait_for(left.wait(), PATIENCE)


async def broken_off(client: Client) -> bytes:
    """What came of an answer that did not come to its end."""
    try:
        return await client.rest()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "framing", ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"], ids=["length", "chunked"]
)
async def test_a_service_that_dies_within_its_answer(here: Place, framing: str) -> None:
    async def die(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n".encode())
        writer.write(b"5\r\nhello\r\n" if "chunked" in framing else b"hello")

    async with serving(die) as service, here.client_after(service) as client:
        await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        await client.head()
        rest = await broken_off(client)
        assert b"hello" in rest
        assert not rest.endswith(b"0\r\n\r\n")


async def test_a_service_that_is_reset_within_an_unframed_answer(here: Place) -> None:
    async def die(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await writer.drain()
        await asyncio.sleep(0.1)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with serving(die) as service, here.client_after(service) as client:
        await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        await client.head()
        assert not (await broken_off(client)).endswith(b"0\r\n\r\n")
    async with serving(die) as service, here.client_after(service) as client:
        await client.send("GET / HTTP/1.0\r\nHost: hello.localhost\r\n\r\n")
        await client.head()
        with pytest.raises(ConnectionError):
            await client.rest()
