"""Reading a tar.gz as a stream: headers as they come, with every length bounded before it is believed."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deployd.errors import InputError

__all__ = ["Member", "Tape"]

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1024 * 1024
HEADER_MAXIMUM = 64 * 1024
"""Bytes of an extended header: names, in the main."""
STREAM_MAXIMUM = 1024**3 + 256 * 1024**2
"""Bytes that are ever unpacked from one archive: content, headers and padding."""
RATIO_MAXIMUM = 200
"""Bytes out of one byte in; source code comes to 3 to 10."""
RATIO_BEGINS = 16 * 1024**2
"""Bytes that may be unpacked whatever the ratio: a file of zeros is no bomb yet."""

REMEDY = "Make it with `deployd push`, or with `tar -czf`."


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of the archive."""

    name: str
    type: bytes
    mode: int
    size: int
    target: str
    """Of a link."""


class Tape:
    """An archive that is read once, from its beginning. Use it as a context.

    Everything in it raises InputError when the archive is broken, or larger than it may be.
    """

    def __init__(self, path: Path) -> None:
        self._size = path.stat().st_size
        self._file = gzip.open(path)  # noqa: SIM115 - closed by the context
        self._out = self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def members(self) -> Iterator[Member]:
        """The entries. The content of one is read, or passed over, before the next."""
        extended: dict[str, str] = {}
        while (header := self._read(BLOCK)).strip(b"\0"):
            entry = _parse(header)
            if entry.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                extended |= _records(self._extension(entry))
                continue
            if entry.type == tarfile.XGLTYPE:
                self._extension(entry)  # a comment, in every archive that git makes of a commit
                continue
            if entry.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                key = "path" if entry.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
                extended.setdefault(key, _text(self._extension(entry).rstrip(b"\0")))
                continue
            if any(key.startswith("GNU.sparse") for key in extended):
                raise InputError(f"{entry.name} in the upload is a sparse file.", remedy=REMEDY)
            size = extended.get("size", str(entry.size))
            if not size.isdecimal() or len(size) > 20:
                raise broken("a size is no number")
            name, target = extended.get("path", entry.name), extended.get("linkpath", entry.linkname)
            self._left = int(size) if entry.isreg() else 0
            self._padding = -self._left % BLOCK
            yield Member(name, entry.type, entry.mode, self._left, target)
            for _ in self.content():
                pass
            self._read(self._padding)
            extended = {}
        while self._some(CHUNK):  # to the end, where gzip checks that nothing was spoiled
            pass

    def content(self) -> Iterator[bytes]:
        """What is left of the present entry's content, in parts."""
        while self._left:
            part = self._read(min(CHUNK, self._left))
            self._left -= len(part)
            yield part

    def _extension(self, entry: tarfile.TarInfo) -> bytes:
        if entry.size > HEADER_MAXIMUM:
            raise broken(f"a header has {entry.size} bytes")
        content = self._read(entry.size)
        self._read(-entry.size % BLOCK)
        return content

    def _read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        content = self._some(size)
        if len(content) < size:
            raise broken("it ends in the middle")
        return content

    def _some(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        try:
            content = self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise broken(str(error)) from error
        self._out += len(content)
        if self._out > STREAM_MAXIMUM:
            raise InputError(
                f"The upload is more than {STREAM_MAXIMUM} bytes once unpacked.",
                remedy="Name what the services do not need in .gitignore.",
            )
        if self._out > max(RATIO_BEGINS, self._size * RATIO_MAXIMUM):
            raise InputError(
                f"The upload unpacks to more than {RATIO_MAXIMUM} times its size, as only bombs do.",
                remedy="Leave out files that are nearly all the same byte.",
            )
        return content


def _parse(header: bytes) -> tarfile.TarInfo:
    try:
        entry = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    except UnicodeDecodeError as error:
        raise _not_text(header[:100]) from error
    except tarfile.HeaderError as error:
        raise broken(str(error)) from error
    if entry.size < 0:
        raise broken("a size is negative")
    return entry


def _records(content: bytes) -> dict[str, str]:
    """The records of a pax header: `LENGTH KEY=VALUE` and a newline, again and again."""
    records: dict[str, str] = {}
    while content:
        length, found, _ = content.partition(b" ")
        if not found or not length.isdigit() or len(length) > 6:
            raise broken("an extended header is malformed")
        record, content = content[: int(length)], content[int(length) :]
        key, equals, value = record[len(length) + 1 : -1].partition(b"=")
        if not equals or not record.endswith(b"\n"):
            raise broken("an extended header is malformed")
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse"):
            records[key.decode()] = _text(value)
    return records


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _not_text(content) from error


def _not_text(name: bytes) -> InputError:
    shown = name.rstrip(b"\0").decode(errors="replace")[:255]
    return InputError(
        f"The name {shown!r} in the upload is not UTF-8.", remedy="Rename the file, or leave it out."
    )


def broken(evidence: str) -> InputError:
    """The archive is none, or not whole."""
    return InputError("The upload is no whole tar.gz.", remedy=REMEDY, evidence=evidence)
