"""A socket in the event loop, with less around it than asyncio's own transports.

They need a task or a future and two rounds of the loop before the first byte; here every request has a
connection of its own to the service, so that this is most of what a request costs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

__all__ = ["Channel", "Listening"]

READ = 256 * 1024
HIGH, LOW = 64 * 1024, 16 * 1024
"""Bytes that wait to be sent above which the sender is held back, and below which it goes on."""
BATCH = 64
"""Connections that are accepted in a row before others have their turn."""
PAUSE = 0.5
"""Seconds until it is tried again to accept where descriptors or memory were missing."""


class Channel:
    """A transport of one connected socket; the protocol is told as asyncio's transports tell it."""

    def __init__(self, raw: socket.socket, protocol: asyncio.Protocol) -> None:
        raw.setblocking(False)
        with suppress(OSError):  # gone already
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = raw
        self._protocol, self._loop, self._fd = protocol, asyncio.get_running_loop(), raw.fileno()
        self._waiting = bytearray()
        self._reads = self._choked = self._ends = self._closing = self._closed = self._at_end = False
        self.resume_reading()

    def pause_reading(self) -> None:
        """What comes in stays in the kernel, which holds the peer back."""
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        """Go on, unless there is nothing more to come."""
        if not (self._reads or self._closing or self._at_end):
            self._reads = True
            self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            data = self.raw.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._at_end = True
            self.pause_reading()
            self._protocol.eof_received()

    def write(self, data: bytes) -> None:
        """At once as far as the kernel takes it, the rest as soon as it does."""
        if self._closing:
            return
        if not self._waiting:
            try:
                sent = self.raw.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._finish(error)
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._fd, self._flush)
        self._waiting += data
        if len(self._waiting) > HIGH and not self._choked:
            self._choked = True
            self._protocol.pause_writing()

    def _flush(self) -> None:
        try:
            sent = self.raw.send(self._waiting)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        del self._waiting[:sent]
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            if self._closing:
                self._finish(None)
            elif self._ends:
                self._shut()
        if self._choked and len(self._waiting) <= LOW:
            self._choked = False
            self._protocol.resume_writing()

    def write_eof(self) -> None:
        """Nothing comes after what was written."""
        if not (self._ends or self._closing):
            self._ends = True
            if not self._waiting:
                self._shut()

    def _shut(self) -> None:
        with suppress(OSError):  # the peer is gone
            self.raw.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Once all was sent."""
        if not self._closing:
            self._closing = True
            self.pause_reading()
            if not self._waiting:
                self._finish(None)

    def abort(self) -> None:
        """At once."""
        self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if self._closed:
            return
        self._closing = self._closed = True
        self.pause_reading()
        if self._waiting:
            self._waiting.clear()
            self._loop.remove_writer(self._fd)
        self.raw.close()
        self._loop.call_soon(self._protocol.connection_lost, error)
        del self._protocol  # they know each other, and would wait for the garbage collector


class Listening:
    """A listening socket: `taken` is given every connection that comes in."""

    def __init__(self, raw: socket.socket, taken: Callable[[socket.socket], object]) -> None:
        raw.setblocking(False)
        self._raw, self._taken, self._loop = raw, taken, asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._begin()

    def _begin(self) -> None:
        self._loop.add_reader(self._raw.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                raw, _peer = self._raw.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in {EMFILE, ENFILE, ENOBUFS, ENOMEM}:
                    raise
                self._loop.remove_reader(self._raw.fileno())
                self._again = self._loop.call_later(PAUSE, self._begin)
                return
            self._taken(raw)

    def close(self) -> None:
        """Nobody new comes in; who is in stays."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._raw.fileno())
        self._raw.close()
