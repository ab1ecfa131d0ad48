"""HTTP/1.1 messages (RFC 9110, 9112): heads and how their bodies are framed. What is doubtful is refused."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

__all__ = ["Body", "Fields", "Framing", "Malformed", "Request", "Response", "read_request", "read_response"]

HEAD_BYTES = 64 * 1024
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
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


@dataclass(slots=True)
class Fields:
    """Header fields in their order. Names are compared in lower case."""

    all: list[tuple[bytes, bytes]] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        """Of all fields of this name (given in lower case)."""
        return [value for one, value in self.all if one.lower() == name]

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

    def text(self) -> bytes:
        """As they are sent, with the empty line."""
        return b"".join(b"%s: %s\r\n" % one for one in self.all) + b"\r\n"


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


async def read_request(reader: asyncio.StreamReader, first: bytes) -> Request:
    """The rest of a request whose first line was read. Raises Malformed, EOFError."""
    found = REQUEST_LINE.fullmatch(first)
    if found is None:
        raise Malformed("this is no request of HTTP/1.0 or HTTP/1.1")
    return Request(found[1], found[2], int(found[3]), await _read_fields(reader))


async def read_response(reader: asyncio.StreamReader) -> Response:
    """Raises Malformed, and EOFError when the connection ends before the head does."""
    found = STATUS_LINE.fullmatch(await read_line(reader))
    if found is None:
        raise Malformed("this is no answer of HTTP/1.x")
    return Response(int(found[2]), found[3] or b"", await _read_fields(reader))


async def read_line(reader: asyncio.StreamReader) -> bytes:
    """One line without its end. Raises Malformed when it is too long, EOFError when it is cut off."""
    try:
        line = await reader.readline()
    except ValueError as error:
        raise Malformed("a line is too long", 431) from error
    if not line.endswith(b"\n"):
        raise EOFError("the connection ended within a line" if line else "the connection ended")
    return line[:-2] if line.endswith(b"\r\n") else line[:-1]


async def _read_fields(reader: asyncio.StreamReader) -> Fields:
    fields, size = Fields(), 0
    while line := await read_line(reader):
        size += len(line)
        if size > HEAD_BYTES:
            raise Malformed("the header is too long", 431)
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.fullmatch(name) or re.search(rb"[\x00\r\n]", value):
            raise Malformed("a header field is malformed")
        fields.all.append((name, value))
    return fields
