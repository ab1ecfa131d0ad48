"""HTTP/1.1 messages (RFC 9110, 9112): heads and how their bodies are framed. What is doubtful is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = [
    "HEAD_BYTES",
    "REQUEST_LINE",
    "STATUS_LINE",
    "Body",
    "Fields",
    "Framing",
    "Malformed",
    "Request",
    "Response",
    "read_request",
    "read_response",
]

HEAD_BYTES = 64 * 1024
FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\r\n]*\r?\n)*\r?\n")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: ([^\x00\r\n]*))?")


class Malformed(ValueError):
    """This is no message that could be passed on; `status` is what its sender is told."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Framing(Enum):
    """How one sees where a body ends."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Body(NamedTuple):
    """A body's framing; `length` with LENGTH only."""

    framing: Framing
    length: int = 0


class Fields:
    """Header fields in their order, read only. Names are compared in lower case."""

    __slots__ = ("_by_name", "all")

    def __init__(self, all_: Iterable[tuple[bytes, bytes]]) -> None:
        self.all = [(name.lower(), name, value) for name, value in all_]
        """Name in lower case, name as it was written, value."""
        self._by_name: dict[bytes, list[bytes]] = {}
        for name, _, value in self.all:
            self._by_name.setdefault(name, []).append(value)

    def values(self, name: bytes) -> Sequence[bytes]:
        """Of all fields of this name (given in lower case)."""
        return self._by_name.get(name, ())

    def tokens(self, name: bytes) -> list[bytes]:
        """The comma-separated elements of all fields of this name, in lower case."""
        parts = (part.strip().lower() for value in self.values(name) for part in value.split(b","))
        return [part for part in parts if part]

    def length(self) -> int | None:
        """The one Content-Length. Raises Malformed where it is none, or several that differ."""
        found = {part.strip() for value in self.values(b"content-length") for part in value.split(b",")}
        if not found:
            return None
        if len(found) > 1 or not re.fullmatch(rb"[0-9]{1,18}", one := found.pop()):
            raise Malformed("the Content-Length is not one number")
        return int(one)


@dataclass(slots=True)
class Request:
    """The head of a request."""

    method: bytes
    target: bytes
    minor: int
    """Of HTTP/1.x."""
    fields: Fields

    def body(self) -> Body:
        """How the body is framed. Raises Malformed for anything that two readers could read differently."""
        codings, length = self.fields.tokens(b"transfer-encoding"), self.fields.length()
        if self.fields.values(b"transfer-encoding"):
            if length is not None or self.minor == 0:
                raise Malformed("the request has two lengths")
            if codings != [b"chunked"]:
                raise Malformed("the request has a transfer coding other than chunked", 501)
            return Body(Framing.CHUNKED)
        return Body(Framing.LENGTH, length) if length else Body(Framing.NONE)


@dataclass(slots=True)
class Response:
    """The head of a response."""

    status: int
    reason: bytes
    fields: Fields

    def body(self, method: bytes) -> Body:
        """How the body is framed, as an answer to this method. Raises Malformed."""
        if method == b"HEAD" or self.status < 200 or self.status in (204, 304):
            return Body(Framing.NONE)
        if self.fields.values(b"transfer-encoding"):
            if self.fields.tokens(b"transfer-encoding") != [b"chunked"]:
                raise Malformed("the answer has a transfer coding other than chunked")
            return Body(Framing.CHUNKED)
        length = self.fields.length()
        if length is None:
            return Body(Framing.CLOSE)
        return Body(Framing.LENGTH, length) if length else Body(Framing.NONE)


def read_request(head: bytes) -> Request:
    """A request's whole head. Raises Malformed."""
    line, fields = _read(head)
    found = REQUEST_LINE.fullmatch(line)
    if found is None:
        raise Malformed("this is no request of HTTP/1.0 or HTTP/1.1")
    return Request(found[1], found[2], int(found[3]), fields)


def read_response(head: bytes) -> Response:
    """An answer's whole head. Raises Malformed."""
    line, fields = _read(head)
    found = STATUS_LINE.fullmatch(line)
    if found is None:
        raise Malformed("this is no answer of HTTP/1.x")
    return Response(int(found[2]), found[3] or b"", fields)


def _read(head: bytes) -> tuple[bytes, Fields]:
    line, _, rest = head.partition(b"\n")
    if not FIELDS.fullmatch(rest):
        raise Malformed("a header field is malformed")
    return line.removesuffix(b"\r"), Fields(
        (name, value.strip(b" \t\r"))
        for name, _, value in (one.partition(b":") for one in rest.split(b"\n"))
        if name and name != b"\r"
    )
