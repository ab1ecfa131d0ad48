"""Bodies pass from one connection to the other piece by piece, freed of one framing, put into another."""

from __future__ import annotations

from .message import Body, Framing, Malformed
from .wire import PIECE, Wire

__all__ = ["Unframed", "framed", "relay"]

TRAILER_BYTES = 16 * 1024


class Unframed:
    """The content of a body that comes in on a connection, as far as it came in."""

    def __init__(self, source: Wire, body: Body) -> None:
        self._source, self._framing, self._left = source, body.framing, body.length
        self._within_chunk = self._within_trailers = False
        self._trailers = 0
        self.done = body.framing is Framing.NONE
        """All of it was taken."""

    def take(self) -> bytes:
        """What is there; empty while nothing is. Raises EOFError, Malformed when it breaks off."""
        piece = b""
        if self._framing is Framing.LENGTH:
            piece = self._source.take(self._left)
            self._left -= len(piece)
            self.done = not self._left
        elif self._framing is Framing.CHUNKED:
            piece = self._take_chunks()
        elif self._framing is Framing.CLOSE:
            piece = self._source.take(2 * PIECE)
            if self._source.ended and not self._source.buffer and not self._source.broken:
                self.done = True
        if not piece and not self.done and self._source.ended:
            raise EOFError("the connection ended within a body")
        return piece

    def _take_chunks(self) -> bytes:
        taken = bytearray()
        try:
            while not self.done and len(taken) < PIECE:
                if self._left:
                    piece = self._source.take(self._left)
                    if not piece:
                        break
                    taken += piece
                    self._left -= len(piece)
                elif not self._take_line():
                    break
        except Malformed:
            if not taken:
                raise
            # What was good before it passes; the next call finds the same error.
        return bytes(taken)

    def _take_line(self) -> bool:
        """Between the chunks; False while the line is not whole. A line that is wrong stays."""
        buffer = self._source.buffer
        end = buffer.find(b"\n", 0, PIECE)
        if end < 0:
            if len(buffer) >= PIECE:
                raise Malformed("a line is too long", 431)
            return False
        line = bytes(buffer[:end]).removesuffix(b"\r")
        if self._within_trailers:
            self._trailers += len(line)
            if self._trailers > TRAILER_BYTES:
                raise Malformed("the trailers are too long", 431)
            self.done = not line
        elif self._within_chunk:
            if line:
                raise Malformed("a chunk is longer than it says")
            self._within_chunk = False
        else:
            self._left = _size(line)
            self._within_chunk, self._within_trailers = bool(self._left), not self._left
        del buffer[: end + 1]
        return True


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip(b" \t")
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise Malformed("the size of a chunk is no number")
    return int(digits, 16)


def framed(piece: bytes, *, chunked: bool, last: bool) -> bytes:
    """The piece as it is sent: `chunked`, or as it is."""
    if not chunked:
        return piece
    end = b"0\r\n\r\n" if last else b""
    return b"%x\r\n%s\r\n%s" % (len(piece), piece, end) if piece else end


async def relay(
    source: Wire,
    content: Unframed,
    sink: Wire,
    *,
    chunked: bool,
    head: bytes = b"",
    stall: float | None = None,
) -> None:
    """Pass a body on behind its head; `stall`: seconds for which the source may be silent.

    Head and body leave together where the body's beginning is there already.
    Raises EOFError or Malformed when the source breaks off, OSError or TimeoutError when the sink does.
    """
    while not content.done:
        try:
            piece = content.take()
        except (EOFError, Malformed):
            if head:
                await sink.send(head)
            raise
        if data := head + framed(piece, chunked=chunked, last=content.done):
            head = b""
            await sink.send(data)
        if not content.done and not (piece and source.buffer):
            await source.more(stall)
    if head:
        await sink.send(head)
