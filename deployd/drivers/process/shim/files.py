"""Files that the supervisor writes: replaced as a whole, and the log in numbered segments."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from .redaction import Redaction

__all__ = ["LINE_BYTES", "SEGMENTS_KEPT", "SEGMENT_BYTES", "Segments", "Stream", "write_whole"]

LINE_BYTES = 16 * 1024
SEGMENT_BYTES = 1024 * 1024
SEGMENTS_KEPT = 10


def write_whole(file: Path, text: str, *, durable: bool = False) -> None:
    """Replace a file at once: a reader sees the old or the new. `durable`: after a power cut too."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as out:
            out.write(text)
            if durable:
                out.flush()
                os.fsync(out.fileno())
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Segments:
    """The written log: numbered files of lines `NANOSECONDS STREAM TEXT`; what is written never moves.

    Streams are `o` stdout, `e` stderr, `d` what the shim says. When the disk does not take a line it is
    dropped and counted.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        self.dropped = 0
        self.last = 0
        self.out = -1
        self.size = 0
        numbers = self.numbers()
        self.number = numbers[-1] if numbers else 1
        file = self.file(self.number)
        try:
            # What a killed shim wrote of its last line goes; readers take whole lines only.
            if file.is_file() and not (content := file.read_bytes()).endswith(b"\n"):
                os.truncate(file, content.rfind(b"\n") + 1)
            self.open()
        except OSError:
            pass

    def numbers(self) -> list[int]:
        """Of the segments that are there, oldest first."""
        return sorted(int(one.stem) for one in self.folder.glob("*.log"))

    def file(self, number: int) -> Path:
        """A segment's file."""
        return self.folder / f"{number:010}.log"

    def open(self) -> None:
        """Go on in the segment of the present number."""
        self.out = os.open(
            self.file(self.number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self.size = os.fstat(self.out).st_size

    def write(self, stream: str, lines: list[bytes]) -> None:
        """Append lines. Never fails, never waits for space."""
        if not lines:
            return
        self.last = max(self.last, time.time_ns())
        head = f"{self.last} {stream} ".encode()
        data = b"".join(head + line + b"\n" for line in lines)
        wrote = 0
        try:
            if self.size >= SEGMENT_BYTES:
                self.turn()
            if self.out < 0:
                self.open()
            wrote = os.write(self.out, data)
            if wrote < len(data):
                raise OSError(errno.ENOSPC, "short write")
            self.size += wrote
        except OSError:
            kept = data.rfind(b"\n", 0, wrote) + 1
            self.size += kept
            self.dropped += data.count(b"\n", kept)
            if wrote > kept:
                try:
                    os.ftruncate(self.out, self.size)
                except OSError:
                    pass

    def turn(self) -> None:
        """Begin the next segment and let the oldest go."""
        if self.out >= 0:
            os.close(self.out)
            self.out = -1
        self.number += 1
        self.open()
        for old in self.numbers()[:-SEGMENTS_KEPT]:
            self.file(old).unlink(missing_ok=True)


class Stream:
    """One pipe of the program, cut into lines, without its secrets."""

    def __init__(self, fd: int, mark: str, redaction: Redaction) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.mark = mark
        self.redaction = redaction
        self.rest = b""
        """What came of a line that is not whole; it may end within a secret, so it is as it came."""

    def read(self) -> list[bytes] | None:
        """The whole lines that are there now; None at the end."""
        try:
            data = os.read(self.fd, 65_536)
        except BlockingIOError:
            return []
        if not data:
            return None
        whole, ended, self.rest = (self.rest + data).rpartition(b"\n")
        lines = self.redaction.line(whole).split(b"\n") if ended else []
        held = max(self.redaction.longest - 1, 0)
        if len(self.rest) > LINE_BYTES + held:
            # A secret that has only begun is within the last bytes: these wait for what comes.
            redacted = self.redaction.line(self.rest)
            cut = max(len(redacted) - held, 0)
            lines.append(redacted[:cut])
            self.rest = redacted[cut:]
        return _cut(lines)

    def last(self) -> list[bytes]:
        """What is left of a line that has no end."""
        return _cut([self.redaction.line(self.rest)]) if self.rest else []


def _cut(lines: list[bytes]) -> list[bytes]:
    return [line[at : at + LINE_BYTES] for line in lines for at in range(0, max(len(line), 1), LINE_BYTES)]
