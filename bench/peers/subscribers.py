"""Many websocket clients in one process, lean enough not to be what is measured.

Bare sockets under one epoll. What arrives is the same for all of them, so it is read once: the transitions
of a piece of bytes are remembered by these bytes, and each further socket that gets the same costs a look-up.
Each socket has its own count of what must come next.

Talks with the bench by lines of JSON: told how many to connect (`{"connect": 1000}`), and up to which `seq`
to listen (`{"until": 500, "patience": 10}`).
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

PIECE = 65536
OPENING = 64
"""Connections that are opened at a time."""
_PATIENCE = 120.0


@dataclass(slots=True)
class Piece:
    """What some bytes hold: transitions that follow one another, and when they were written."""

    first: int = 0
    last: int = -1
    frames: int = 0
    written: list[float] = field(default_factory=list)
    rest: bytes = b""
    pings: int = 0
    closed: int | None = None
    wrong: bool = False
    """Its transitions do not follow one another."""


class Clients:
    """All of them."""

    def __init__(self, port: int, path: str, document: str | None, token: str, begins: bool) -> None:
        self._begins = begins
        self._authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        self._port, self._path, self._document = port, path, document
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._expected: dict[int, int] = {}
        self._rests: dict[int, bytes] = {}
        self._known: dict[bytes, Piece] = {}
        self._latencies = array("f")
        self.frames = self.delivered = self.gaps = self.twice = self.closed = self.finished = 0
        self.until = sys.maxsize

    def connect(self, count: int) -> None:
        """Open so many more, and subscribe by each."""
        for first in range(0, count, OPENING):
            opened = [self._open() for _ in range(first, min(first + OPENING, count))]
            rests = [
                self._introduce(one) for one in opened
            ]  # at once: a server waits for it for seconds only
            rests = [self._subscribe(one, rest) for one, rest in zip(opened, rests, strict=True)]
            for one, rest in zip(opened, rests, strict=True):
                self._follow(one, rest)
            self.turn(0)  # those that are there are pinged meanwhile

    def _open(self) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        one.sendall(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n{self._authorization}\r\n".encode()
        )
        return one

    def _introduce(self, one: socket.socket) -> bytes:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _more(one)
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"no websocket: {head!r}")
        if self._document is not None:
            one.sendall(_frame({"type": "connection_init"}))
        return rest

    def _subscribe(self, one: socket.socket, rest: bytes) -> bytes:
        if self._document is None:
            return rest
        while b"connection_ack" not in rest:
            rest += _more(one)
        one.sendall(_frame({"id": "1", "type": "subscribe", "payload": {"query": self._document}}))
        return _after_first(rest)

    def _follow(self, one: socket.socket, rest: bytes) -> None:
        while self._begins and b'"next"' not in rest:
            rest += _more(one)
        one.setblocking(False)
        number = one.fileno()
        self._sockets[number] = one
        self._expected[number] = 0
        if rest:
            self._rests[number] = rest
        self._poll.register(number, select.EPOLLIN)

    def turn(self, seconds: float) -> bool:
        """Take what has come, waiting so long at most. Whether anything had."""
        ready = self._poll.poll(seconds)
        known, rests, expected = self._known, self._rests, self._expected
        for number, _ in ready:
            try:
                data = os.read(number, PIECE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._lose(number)
                continue
            if rests and number in rests:
                data = rests.pop(number) + data
            piece = known.get(data) or self._learn(data)
            if piece.rest or piece.pings or piece.closed is not None:
                self._handle(number, piece)
            if piece.last < piece.first:
                continue
            now = time.time()
            self.frames += piece.frames
            next_ = expected.get(number) or piece.first
            if piece.first > next_:
                self.gaps += piece.first - next_
            elif piece.first < next_:
                self.twice += next_ - piece.first
            self.delivered += len(piece.written)
            expected[number] = piece.last + 1
            if piece.last >= self.until > next_ - 1:
                self.finished += 1
            for at in piece.written:
                self._latencies.append(now - at)
        return bool(ready)

    def _learn(self, data: bytes) -> Piece:
        if len(self._known) > 4096:
            self._known.clear()
        piece = self._known[data] = _read(data)
        if piece.wrong:
            self.gaps += 1
        return piece

    def _handle(self, number: int, piece: Piece) -> None:
        if piece.rest:
            self._rests[number] = piece.rest
        for _ in range(piece.pings):
            self._sockets[number].send(b"\x8a\x80\0\0\0\0")
        if piece.closed is not None:
            self._lose(number)

    def _lose(self, number: int) -> None:
        if (one := self._sockets.pop(number, None)) is not None:
            self.closed += 1
            self._poll.unregister(number)
            one.close()

    def listen(self, last: int, patience: float) -> None:
        """Until everybody has come to `last`, or nothing came for so many seconds, or thrice that."""
        self.until = last
        self.finished = sum(one > last for one in self._expected.values())
        began = quiet = time.monotonic()
        while self.finished < len(self._sockets):
            now = time.monotonic()
            if self.turn(0.1):
                quiet = now
            if now - quiet > patience or now - began > 3 * patience:
                return

    def result(self) -> dict[str, Any]:
        """What was seen by all of them together."""
        sorted_ = sorted(self._latencies)
        times = os.times()

        def quantile(part: float) -> float:
            return sorted_[min(len(sorted_) - 1, int(part * len(sorted_)))] if sorted_ else float("nan")

        return {
            "delivered": self.delivered,
            "frames": self.frames,
            "gaps": self.gaps,
            "twice": self.twice,
            "closed": self.closed,
            "p50": quantile(0.5),
            "p99": quantile(0.99),
            "cpu": times.user + times.system,
        }


def _more(one: socket.socket) -> bytes:
    found = one.recv(PIECE)
    if not found:
        raise SystemExit("the server closed a connection that was being opened")
    return found


def _after_first(data: bytes) -> bytes:
    """What follows the first frame, a short one."""
    return data[2 + data[1] :]


def _frame(message: object) -> bytes:
    """Masked, as a client's have to be, with a mask of zeros."""
    text = json.dumps(message).encode()
    if len(text) < 126:
        return struct.pack("!BB4x", 0x81, 0x80 | len(text)) + text
    return struct.pack("!BBH4x", 0x81, 0xFE, len(text)) + text


def _read(data: bytes) -> Piece:
    piece = Piece()
    seen: list[int] = []
    while data:
        size, start = (data[1] if len(data) > 1 else 0), 2
        if len(data) >= 10 and size == 127:
            size, start = struct.unpack_from("!Q", data, 2)[0], 10
        elif len(data) >= 4 and size == 126:
            size, start = struct.unpack_from("!H", data, 2)[0], 4
        elif size >= 126 or len(data) < 2:
            break
        if len(data) < start + size:
            break
        opcode, payload = data[0] & 15, data[start : start + size]
        data = data[start + size :]
        if opcode == 9:
            piece.pings += 1
        elif opcode == 8:
            piece.closed = struct.unpack_from("!H", payload)[0] if size >= 2 else 1005
        elif opcode == 1:
            found = list(_transitions(json.loads(payload)))
            piece.frames += bool(found)
            for one in found:
                seen.append(int(one["seq"]))
                piece.written.append(datetime.fromisoformat(one["at"]).timestamp())
    piece.rest = data
    if seen:
        piece.first, piece.last = seen[0], seen[-1]
        piece.wrong = seen != list(range(piece.first, piece.last + 1))
    return piece


def _transitions(found: object) -> Iterator[dict[str, Any]]:
    """Whatever has a `seq`, however deep."""
    if isinstance(found, dict):
        if "seq" in found:
            yield found
        else:
            for one in found.values():
                yield from _transitions(one)
    elif isinstance(found, list):
        for one in found:
            yield from _transitions(one)


def main() -> None:
    """Arguments: port, path, document (`-`: it speaks no GraphQL); TOKEN and BEGINS are variables."""
    port, path, document = sys.argv[1:]
    token = os.environ.get("TOKEN", "")
    begins = bool(os.environ.get("BEGINS"))
    clients = Clients(int(port), path, None if document == "-" else document, token, begins)
    told = select.epoll()
    told.register(0, select.EPOLLIN)
    while True:
        if not told.poll(0):
            clients.turn(0.02)
            continue
        if not (line := sys.stdin.readline()):
            return
        order = json.loads(line)
        if "connect" in order:
            clients.connect(order["connect"])
            print(json.dumps({"connected": order["connect"], "cpu": clients.result()["cpu"]}), flush=True)
        else:
            clients.listen(order["until"], order["patience"])
            print(json.dumps(clients.result()), flush=True)


if __name__ == "__main__":
    main()
