"""A router with its proxy at a free port, services behind it, and clients in front of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from deployd.drivers.api import DriverContext, Routed, ServiceRef, Target
from deployd.drivers.entrypoint.driver import LocalRouter
from deployd.drivers.registry import create
from tests.ports import INSIDE, free_port, settings

Answering = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE = 20.0
"""Seconds, on a machine with other work to do: less than services take that are not to be waited for."""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


async def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


@dataclass
class Answer:
    """What a client read from the wire."""

    head: str
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(" ", 2)[1])

    def values(self, name: str) -> list[str]:
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return [value.strip() for one, _, value in lines if one.lower() == name]


class Client:
    """A connection to the proxy, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def head(self) -> str:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        return head.decode("latin-1").strip()

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next one, with a body of a length, of chunks, or until the end."""
        answer = Answer(await self.head(), b"")
        if bodiless or answer.status in (204, 304):
            return answer
        if length := answer.values("content-length"):
            answer.body = await self.reader.readexactly(int(length[0]))
        elif answer.values("transfer-encoding") == ["chunked"]:
            while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                answer.body += (await self.reader.readexactly(size + 2))[:-2]
            assert await self.reader.readexactly(2) == b"\r\n"
        else:
            answer.body = await self.rest()
        return answer

    async def rest(self) -> bytes:
        """All until the connection ends."""
        return await asyncio.wait_for(self.reader.read(-1), PATIENCE)

    async def get(self, path: str = "/", host: str = "hello.localhost", **more: str) -> Answer:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
        await self.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
        return await self.answer()


@dataclass
class Service:
    """One that answers each connection by a function; it keeps the heads that it got."""

    address: str
    server: asyncio.Server
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    def values(self, name: str) -> list[str]:
        return Answer(self.heads[-1], b"").values(name)


@dataclass
class Place:
    home: Path
    port: int = field(default_factory=free_port)
    service: ServiceRef = field(default_factory=lambda: ServiceRef(1, "local", uuid4(), "hello"))

    def router(self, **config: object) -> LocalRouter:
        """A new one each time: it finds everything."""
        context = DriverContext(self.home / "drivers" / "route-local", "here")
        made = create("route:local", {"port": self.port, **settings(INSIDE), **config}, context)
        assert isinstance(made, LocalRouter)
        return made

    async def route(self, service: Service, **config: object) -> Routed:
        return await self.router(**config).route(self.service, [Target(service.address)])

    def pid(self) -> int:
        return int((self.home / "drivers" / "route-local" / "lock").read_text() or 0)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)

    @asynccontextmanager
    async def client_after(self, service: Service) -> AsyncIterator[Client]:
        """A client once the service is routed."""
        await self.route(service)
        async with self.client() as client:
            yield client

    @asynccontextmanager
    async def aiohttp(self, app: web.Application) -> AsyncIterator[None]:
        """A service made with aiohttp, routed."""
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await self.router().route(self.service, [Target(f"http://127.0.0.1:{runner.addresses[0][1]}")])
            yield
        finally:
            await runner.cleanup()

    def memory(self) -> int:
        """Bytes that the proxy has in use."""
        pages = Path(f"/proc/{self.pid()}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def get(self, path: str = "/", host: str = "hello.localhost") -> Answer:
        async with self.client() as client:
            return await client.get(path, host, Connection="close")


@asynccontextmanager
async def serving(answering: Answering, port: int = 0) -> AsyncIterator[Service]:
    """A service while the context lasts."""
    writers: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        service.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            service.heads.append(head.decode("latin-1"))
            await answering(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    service = Service(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", server)
    try:
        yield service
    finally:
        server.close()
        for writer in writers:
            with suppress(AttributeError):  # Python 3.11.2 has no loop for one that is closed
                writer.transport.abort()
        await asyncio.sleep(0.01)


def saying(text: str, *, status: str = "200 OK", fields: str = "") -> Answering:
    """Always the same answer."""

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(text.encode())}\r\n{fields}\r\n{text}".encode()
        )
        await writer.drain()

    return answer


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """Its proxy is killed at the end."""
    with tempfile.TemporaryDirectory(prefix="deployd-route-", dir="/tmp") as root:
        made = Place(Path(root))
        try:
            yield made
        finally:
            end(made)


def end(made: Place) -> None:
    lock = made.home / "drivers" / "route-local" / "lock"
    if lock.exists() and (pid := made.pid()) and alive(pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if str(made.home).encode() in command:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE
            while alive(pid):
                assert time.monotonic() < deadline
                time.sleep(0.005)


def table_of(made: Place) -> dict[str, object]:
    file = made.home / "drivers" / "route-local" / "routes" / f"{made.service.service_id}.json"
    loaded: dict[str, object] = json.loads(file.read_text())
    return loaded
