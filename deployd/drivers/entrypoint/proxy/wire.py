"""Connections: what came in waits in a buffer, and nobody sends faster than the other side takes."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from .channel import Channel
from .message import HEAD_BYTES, Malformed

__all__ = ["PIECE", "STALL", "Wire", "connect"]

PIECE = 64 * 1024
STALL = 300.0
"""Seconds for which either side may neither send nor take anything while the other one waits for it."""
CONNECT = 5.0
"""Seconds within which a service has to accept a connection."""
HEAD_END = re.compile(rb"\n\r?\n")
NUMERIC = re.compile(r"[0-9.]+")


class Wire(asyncio.Protocol):
    """One connection; one task at a time may read from it, and one may write to it."""

    def __init__(self, raw: socket.socket) -> None:
        self.buffer = bytearray()
        """What came in and was not taken yet."""
        self.ended = False
        """The peer has ended its side, or the connection is lost; what is in the buffer can be read still."""
        self.broken = False
        """It was lost rather than ended."""
        self.abandoned: Callable[[], object] | None = None
        """Called once the peer has ended its side."""
        self._loop = asyncio.get_running_loop()
        self._held = self._choked = self._lost = False
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._channel = Channel(raw, self)

    @property
    def peer(self) -> str:
        """The address at the other end; empty when the connection is lost already."""
        try:
            return str(self._channel.raw.getpeername()[0])
        except (OSError, IndexError):
            return ""

    def data_received(self, data: bytes) -> None:
        """Keep it; when too much waits already, the peer has to."""
        self.buffer += data
        if len(self.buffer) > 2 * PIECE and not self._held:
            self._held = True
            self._channel.pause_reading()
        _wake(self._reading)

    def eof_received(self) -> bool:
        """The peer sends no more; our side stays open."""
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """A reset is the end of what can be read, never the loss of what was read already."""
        self.broken = exc is not None
        self._lost = True
        self._end()
        _wake(self._writing)

    def pause_writing(self) -> None:
        """The peer does not take what was sent."""
        self._choked = True

    def resume_writing(self) -> None:
        """It took most of it."""
        self._choked = False
        _wake(self._writing)

    def _end(self) -> None:
        first, self.ended = not self.ended, True
        _wake(self._reading)
        if first and self.abandoned is not None:
            self.abandoned()

    async def more(self, seconds: float | None = None) -> None:
        """Wait until more has come in, or the peer has ended. Raises TimeoutError."""
        if self.ended:
            return
        if self._held:
            self._held = False
            self._channel.resume_reading()
        self._reading = self._loop.create_future()
        try:
            await _within(self._reading, seconds)
        finally:
            self._reading = None

    async def head(self, first: re.Pattern[bytes], idle: float, rest: float) -> bytes:
        """The head of a message, with the empty line that ends it. `first` is what its first line has to be.

        It may begin after `idle` seconds, and then take `rest` seconds.
        Raises Malformed, TimeoutError, and EOFError when the peer ends before it is whole.
        """
        if not self.buffer:
            await self.more(idle)
        until = self._loop.time() + rest
        seen, known = 0, False
        while True:
            buffer = self.buffer
            if end := HEAD_END.search(buffer, max(0, seen - 2)):
                return self.take(_short(end.end()))
            if not known and (line := buffer.find(b"\n", seen)) >= 0:
                known = True
                if not first.fullmatch(buffer[:line].rstrip(b"\r")):
                    raise Malformed("this does not begin as a message of HTTP/1.x")
            seen = _short(len(buffer))
            if self.ended:
                raise EOFError("the connection ended within a header" if buffer else "the connection ended")
            await self.more(until - self._loop.time())

    def take(self, most: int) -> bytes:
        """What came in, at most so many bytes."""
        if most >= len(self.buffer):
            piece = bytes(self.buffer)
            self.buffer.clear()
        else:
            piece = bytes(memoryview(self.buffer)[:most])
            del self.buffer[:most]
        return piece

    def write(self, data: bytes) -> None:
        """Without waiting for the peer: for small things."""
        self._channel.write(data)

    async def send(self, data: bytes) -> None:
        """Raises OSError, TimeoutError when the peer takes nothing for `STALL`."""
        if not self._lost:
            self._channel.write(data)
            if not self._choked:
                return
            self._writing = self._loop.create_future()
            try:
                await _within(self._writing, STALL)
            finally:
                self._writing = None
        if self._lost:
            raise ConnectionResetError("the connection is lost")

    def end_writing(self) -> None:
        """We send no more."""
        self._channel.write_eof()

    def close(self) -> None:
        """What was written is sent still."""
        self._channel.close()

    def abort(self) -> None:
        """At once: what was not sent yet is dropped."""
        self._channel.abort()

    def reset(self) -> None:
        """At once and as an error, which the peer cannot take for a proper end."""
        with suppress(OSError):
            self._channel.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _expire(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


async def _within(waiting: asyncio.Future[None], seconds: float | None) -> None:
    if seconds is None:
        await waiting
        return
    timer = waiting.get_loop().call_later(seconds, _expire, waiting)
    try:
        await waiting
    finally:
        timer.cancel()


def _short(size: int) -> int:
    if size > HEAD_BYTES:
        raise Malformed("the header is too long", 431)
    return size


async def connect(target: str) -> Wire:
    """A connection of its own to `host:port`. Raises OSError, TimeoutError."""
    host, _, port = target.rpartition(":")
    raw = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    )
    try:
        where = (host.strip("[]"), int(port))
        # On this host a connection is there at once, which the second call finds out.
        if not NUMERIC.fullmatch(host) or (raw.connect_ex(where) and raw.connect_ex(where)):
            async with asyncio.timeout(CONNECT):
                await asyncio.get_running_loop().sock_connect(raw, where)
        return Wire(raw)
    except BaseException:
        raw.close()
        raise
