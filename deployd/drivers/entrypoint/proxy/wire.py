"""Connections, and bodies that pass from one to the other piece by piece, no faster than both can."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

from .message import Body, Framing, Malformed, read_line

__all__ = ["STALL", "Wire", "accept", "connect", "relay", "tunnel"]

PIECE = 64 * 1024
STALL = 300.0
"""Seconds for which either side may neither send nor take anything while the other one waits for it."""
TRAILER_BYTES = 16 * 1024
CONNECT = 5.0
"""Seconds within which a service has to accept a connection."""


class Protocol(asyncio.StreamReaderProtocol):
    """Tells at once that the peer is gone; what it sent before can be read still."""

    def __init__(
        self, reader: asyncio.StreamReader, connected: Callable[..., Coroutine[Any, Any, None]] | None = None
    ) -> None:
        super().__init__(reader, connected)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.broken = False

    def _tell(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def eof_received(self) -> bool | None:
        """The peer sends no more."""
        self._tell()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """A reset is the end of what can be read, never the loss of what was read already."""
        self.broken = exc is not None
        self._tell()
        super().connection_lost(None)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, Protocol)
        self.reader, self.writer, self._protocol = reader, writer, protocol

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done once the peer has ended its side, or the connection is lost."""
        return self._protocol.gone

    @property
    def broken(self) -> bool:
        """Whether it was lost rather than ended."""
        return self._protocol.broken

    async def send(self, data: bytes) -> None:
        """Raises OSError, TimeoutError when the peer takes nothing for `STALL`."""
        self.writer.write(data)
        async with asyncio.timeout(STALL):
            await self.writer.drain()

    def close(self) -> None:
        """What was written is sent still."""
        self.writer.close()

    def abort(self) -> None:
        """At once: what was not sent yet is dropped."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """At once and as an error, which the peer cannot take for a proper end."""
        raw = self.writer.get_extra_info("socket")
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()


def accept(serve: Callable[[Wire], Coroutine[Any, Any, None]]) -> Callable[[], Protocol]:
    """A factory for the loop's servers."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(Wire(reader, writer))

    return lambda: Protocol(asyncio.StreamReader(PIECE), connected)


async def connect(target: str) -> Wire:
    """A connection of its own to `host:port`. Raises OSError, TimeoutError."""
    host, _, port = target.rpartition(":")
    reader = asyncio.StreamReader(PIECE)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT):
        transport, protocol = await loop.create_connection(lambda: Protocol(reader), host, int(port))
    return Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


async def relay(source: Wire, body: Body, sink: Wire, *, chunked: bool, stall: float | None = None) -> None:
    """Pass a body on; `stall`: seconds for which the source may be silent.

    Raises EOFError or Malformed when the source breaks off, OSError or TimeoutError when the sink does.
    """
    async with aclosing(_pieces(source, body)) as pieces:
        while True:
            async with asyncio.timeout(stall):
                piece = await anext(pieces, None)
            if piece is None:
                break
            await sink.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        await sink.send(b"0\r\n\r\n")


async def _pieces(source: Wire, body: Body) -> AsyncGenerator[bytes, None]:
    if body.framing is Framing.LENGTH:
        async for piece in _exactly(source, body.length):
            yield piece
    elif body.framing is Framing.CHUNKED:
        while size := _size(await read_line(source.reader)):
            async for piece in _exactly(source, size):
                yield piece
            if await read_line(source.reader):
                raise Malformed("a chunk is longer than it says")
        seen = 0
        while line := await read_line(source.reader):
            seen += len(line)
            if seen > TRAILER_BYTES:
                raise Malformed("the trailers are too long", 431)
    elif body.framing is Framing.CLOSE:
        while piece := await source.reader.read(PIECE):
            yield piece
        if source.broken:
            raise EOFError("the connection was lost within a body")


async def _exactly(source: Wire, length: int) -> AsyncGenerator[bytes, None]:
    while length:
        piece = await source.reader.read(min(length, PIECE))
        if not piece:
            raise EOFError("the connection ended within a body")
        length -= len(piece)
        yield piece


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip(b" \t")
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise Malformed("the size of a chunk is no number")
    return int(digits, 16)


async def tunnel(one: Wire, other: Wire) -> None:
    """Pass bytes both ways until both have ended, or either is lost. Never raises but CancelledError."""

    async def pump(source: Wire, sink: Wire) -> None:
        while piece := await source.reader.read(PIECE):
            await sink.send(piece)
        if source.broken:
            raise EOFError("the connection was lost")
        sink.writer.write_eof()

    pumps = [asyncio.ensure_future(pump(one, other)), asyncio.ensure_future(pump(other, one))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
