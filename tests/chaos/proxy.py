"""A way to Postgres that can be bad: cut, cut right after a commit, slow, full, and without hints.

It knows just enough of the protocol (https://www.postgresql.org/docs/current/protocol-flow.html): where
messages begin, which of them belong to a commit of the engine, and which are notifications.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployd.store.queries import QUERIES

__all__ = ["Proxy"]

_COMMITS = tuple(QUERIES[name].encode() for name in ("commit", "commit_one"))
_FULL = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
"""What a Postgres says that has no connection left."""


@dataclass(eq=False)
class _Line:
    """One connection: both ends, and what it knows of its statements."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    commits: set[bytes] = field(default_factory=set)
    """Names of prepared statements that are commits of the engine."""
    committing: bool = False
    """Its client waits for the answer to a commit."""
    greeted: bool = False

    def cut(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()

    def asks(self, kind: bytes, body: bytes) -> None:
        """A message of the client."""
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            if rest.startswith(_COMMITS):
                self.commits.add(name)
        elif kind == b"B":
            name = body.split(b"\0", 2)[1]
            self.committing = self.committing or name in self.commits


class Proxy:
    """Listens on 127.0.0.1 and leads to the socket of a server; `port` is known once it runs."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay = 0.0
        """Seconds by which each answer is late."""
        self.refusing = False
        """Whether new connections are told that there are too many."""
        self.deaf = False
        """Whether notifications are dropped."""
        self.losing = 0
        """How many of the next commits are made, and cut off before their answer."""
        self.lost = 0
        """How many have been."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen while the context lasts; at its end every connection is cut."""
        listening = await asyncio.start_server(self._arrived, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            listening.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Every connection breaks now."""
        for line in tuple(self._lines):
            line.cut()

    def mend(self) -> None:
        """From now on it is a good way."""
        self.delay, self.refusing, self.deaf, self.losing = 0.0, False, False, 0

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._lead(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            await self._read_start(reader)
            writer.write(b"E" + struct.pack("!I", len(_FULL) + 4) + _FULL)
            await writer.drain()
            return
        theirs, server = await asyncio.open_unix_connection(str(self._server), limit=2**22)
        line = _Line(writer, server)
        self._lines.add(line)
        ways = [
            asyncio.create_task(self._ask(line, reader)),
            asyncio.create_task(self._answer(line, theirs)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            line.cut()
            self._lines.discard(line)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    @staticmethod
    async def _read_start(reader: asyncio.StreamReader) -> bytes:
        """The first message has no kind."""
        size = await reader.readexactly(4)
        return size + await reader.readexactly(struct.unpack("!I", size)[0] - 4)

    async def _ask(self, line: _Line, reader: asyncio.StreamReader) -> None:
        line.server.write(await self._read_start(reader))
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            line.asks(head[:1], body)
            line.server.write(head + body)
            await line.server.drain()

    async def _answer(self, line: _Line, reader: asyncio.StreamReader) -> None:
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            kind = head[:1]
            if kind == b"A" and self.deaf:
                continue
            if line.committing and kind in b"CE" and self.losing:
                # CommandComplete of a statement that is its own transaction comes before it is
                # committed; ReadyForQuery after. So wait for that, and tell nobody.
                while kind != b"Z":
                    head = await reader.readexactly(5)
                    await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
                    kind = head[:1]
                self.losing -= 1
                self.lost += 1
                return
            if kind == b"Z":
                line.committing = False
                if self.delay and line.greeted:
                    await asyncio.sleep(self.delay)
                line.greeted = True
            line.client.write(head + body)
            await line.client.drain()
