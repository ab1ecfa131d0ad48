"""A world with real processes behind the real proxy, and a deployd of its own process that can be killed."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from deployd.drivers.api import DriverContext
from deployd.drivers.registry import create
from deployd.engine.context import ENTRYPOINT, Context, Driver
from deployd.model.world import Capability
from deployd.store import worlds
from deployd.store.database import Database
from tests.house import ADA, House, house
from tests.integration.drivers.entrypoint.place import alive
from tests.ports import INSIDE, settings

SERVER = """import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/slow":
            time.sleep(0.2)
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/die":
            os._exit(3)

    do_POST = do_GET

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # as rude as can be: nothing is finished
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@asynccontextmanager
async def rolling(db: Database, home: Path, port: int, *, works: bool = True) -> AsyncIterator[House]:
    """`works`: whether this process acts; else another one has to."""
    (home / "source").mkdir(exist_ok=True)
    (home / "source" / "server.py").write_text(SERVER)

    def change(context: Context) -> None:
        others = context.driver
        config = {"port": port, **settings(INSIDE)}
        router = create("route:local", config, DriverContext(home / "router", "here"))

        def driver(name: str, config: Mapping[str, object]) -> Driver:
            return router if name == "route:local" else others(name, config)

        context.driver = driver

    await worlds.add_capability(db, "local", ENTRYPOINT, Capability("route:local"))
    async with house(db, home, change=change, processes=True, works=works) as made:
        yield made


async def end(home: House) -> None:
    """Leave no process behind."""
    service = await home.service("cart")
    await home.operations.retire(ADA, home.world, "cart")
    await home.until(service.id, "retired")
    lock = home.home / "router" / "lock"
    with suppress(OSError, ValueError):
        pid = int(lock.read_text())
        if str(home.home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            while alive(pid):
                await asyncio.sleep(0.005)


@dataclass
class Load:
    """Clients that ask without a pause, by the name and by the internal address alike."""

    urls: tuple[str, ...]
    clients: int = 6
    ended: threading.Event = field(default_factory=threading.Event)
    answers: list[str] = field(default_factory=list)
    """What was answered with 200, as it came."""
    failures: list[tuple[int | str, str, str | None]] = field(default_factory=list)
    """Every other answer: its status (or what went wrong), its text and its Retry-After."""

    def __enter__(self) -> Load:
        self.threads = [threading.Thread(target=self.work, args=(one,)) for one in range(self.clients)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def work(self, number: int) -> None:
        where = urlsplit(self.urls[number % len(self.urls)]).port
        connection = http.client.HTTPConnection("127.0.0.1", where, timeout=10)
        while not self.ended.is_set():
            try:
                if number in (0, 1):
                    connection.close()
                method, body = ("POST", b"y" * 100) if number in (2, 3) else ("GET", None)
                path = "/slow" if number == 4 else "/"
                connection.request(method, path, body, headers={"Host": "cart.localhost"})
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200:
                    self.answers.append(text)
                else:
                    self.failures.append((answer.status, text, answer.getheader("Retry-After")))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append((repr(error), "", None))
                connection.close()
        connection.close()


async def _work(dsn: str, home: str, port: str) -> None:
    async with Database(dsn, size=3) as db, rolling(db, Path(home), int(port)):
        sys.stdout.write("working\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


@asynccontextmanager
async def worker(dsn: str, home: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A deployd in a process of its own; killed at the end, if not before."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.acceptance.rolling", dsn, str(home), str(port)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert started.stdout is not None
    try:
        assert await started.stdout.readline() == b"working\n"
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
