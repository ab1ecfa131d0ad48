"""What the proxy's sockets are set to, and what becomes of connections when descriptors run out."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from deployd.drivers.entrypoint.proxy.listeners import Listeners
from deployd.drivers.entrypoint.proxy.record import Record, Target, Way, write_record
from deployd.drivers.entrypoint.proxy.table import Table
from tests.integration.drivers.entrypoint.place import PATIENCE, Client, saying, serving, until
from tests.ports import free_port


def towards(address: tuple[str, int]) -> list[socket.socket]:
    """Copies of this process's sockets whose other end is there."""
    found: list[socket.socket] = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it is no socket, or the folder's own
            one = socket.socket(fileno=os.dup(int(fd.name)))
            with closing(one):
                if one.getpeername() == address:
                    found.append(one.dup())
    return found


@asynccontextmanager
async def proxy(folder: Path, target: str) -> AsyncIterator[int]:
    """The proxy's listeners in this process, routed to this target; the port."""
    port = free_port()
    way = Way("hello.localhost", "/", since=0.0, local=True)
    write_record(folder, "service", Record("hello", (Target(target, 100),), ways=(way,)))
    table = Table(folder, ("127.0.0.1", port))
    table.load()
    listeners = Listeners(table)
    await listeners.keep()
    assert listeners.failed == {}
    try:
        yield port
    finally:
        listeners.close()


async def test_nothing_waits_for_more_to_be_sent(tmp_path: Path) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        await saying("hello")(head, reader, writer)

    async with serving(slowly) as service:
        target = service.address.removeprefix("http://")
        async with proxy(tmp_path, target) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            client = Client(reader, writer)
            await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
            await asyncio.wait_for(asked.wait(), PATIENCE)
            accepted = towards(writer.get_extra_info("sockname"))
            connected = towards(("127.0.0.1", int(target.rpartition(":")[2])))
            try:
                assert len(accepted) == len(connected) == 1
                for one in (*accepted, *connected):
                    assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            finally:
                for one in (*accepted, *connected):
                    one.close()
            go_on.set()
            assert (await client.answer()).body == b"hello"
            writer.close()
            await writer.wait_closed()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted by /proc")
async def test_without_descriptors_connections_wait(tmp_path: Path) -> None:
    async with serving(saying("hello")) as service:
        async with proxy(tmp_path, service.address.removeprefix("http://")) as port:
            with socket.socket() as one:
                one.setblocking(False)
                soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (one.fileno() + 1, hard))
                spare: list[int] = []
                try:
                    with suppress(OSError):
                        while True:
                            spare.append(os.dup(0))
                    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
                    await asyncio.sleep(0.1)  # refused by the kernel a few times, if it were tried again
                finally:
                    for fd in spare:
                        os.close(fd)
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                request = b"GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n"
                await asyncio.get_running_loop().sock_sendall(one, request)
                answer = b""
                async with asyncio.timeout(PATIENCE):
                    while piece := await asyncio.get_running_loop().sock_recv(one, 4096):
                        answer += piece
                assert answer.endswith(b"hello")
        await until(lambda: service.heads, "it arrived")
