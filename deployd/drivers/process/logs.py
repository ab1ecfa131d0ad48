"""Reads what supervisors wrote: pages behind a cursor that is exact across segments, restarts, releases.

A cursor is, for each release of the service, the segment and the offset behind the last line that was
handed out. What is written never moves, so it stays exact; a segment that is gone is told.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from pathlib import Path

from deployd.drivers.api import LogLine, LogPage
from deployd.drivers.process.shim.files import SEGMENT_BYTES
from deployd.errors import InputError

__all__ = ["read_page"]

Position = tuple[int, int]
"""Segment and offset."""
STREAMS = {b"o": "stdout", b"e": "stderr", b"d": "deployd"}


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One line and the position behind it; ordered by time, then as they were written."""

    nanoseconds: int
    release: str
    after: Position
    stream: str = field(compare=False)
    text: str = field(compare=False)


def read_page(instances: Mapping[str, tuple[str, Path]], after: str | None, limit: int) -> LogPage:
    """A page of a service's lines. `instances`: by release, the instance's name and its folder of segments.

    Raises InputError for a cursor that is not one, and for a limit below one.
    """
    if limit < 1:
        raise InputError(f"a page of {limit} lines cannot be read", remedy="Ask for at least one line.")
    if after is None:
        tails = {release: _last(folder, release, limit) for release, (_, folder) in instances.items()}
        found = list(merge(*tails.values()))[-limit:]
        # All that is not on this page is older: whoever reads on wants what comes behind it.
        cursor = {release: lines[-1].after if lines else (0, 0) for release, lines in tails.items()}
    else:
        cursor = _decode(after)
        cursor = {release: cursor.get(release, (0, 0)) for release in instances}
        streams = [_behind(folder, release, cursor[release]) for release, (_, folder) in instances.items()]
        found = list(islice(merge(*streams), limit))
        for one in found:
            cursor[one.release] = one.after
    lines = tuple(
        LogLine(
            at=datetime.fromtimestamp(one.nanoseconds // 1000 / 1e6, UTC),
            stream=one.stream,
            instance=instances[one.release][0],
            text=one.text,
        )
        for one in found
    )
    return LogPage(lines=lines, cursor=_encode(cursor))


def _numbers(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in folder.glob("*.log")) if folder.is_dir() else []


def _lines(folder: Path, release: str, number: int, offset: int) -> Iterator[Found]:
    """The whole lines of one segment behind an offset. Raises FileNotFoundError when it went meanwhile."""
    with (folder / f"{number:010}.log").open("rb") as file:
        file.seek(max(offset - 1, 0))
        if offset and file.read(1) not in {b"\n", b""}:
            raise _no_cursor()
        for raw in file:
            if not raw.endswith(b"\n"):
                return  # being written
            offset += len(raw)
            at, _, rest = raw[:-1].partition(b" ")
            mark, _, text = rest.partition(b" ")
            if not at.isdigit():
                continue  # what a full disk made of a line
            yield Found(
                int(at),
                release,
                (number, offset),
                STREAMS.get(mark, "deployd"),
                text.decode(errors="replace"),
            )


def _behind(folder: Path, release: str, position: Position) -> Iterator[Found]:
    """All lines behind a position; a line that tells of it, when some of them are gone."""
    number, offset = position
    numbers = _numbers(folder)
    whole = offset >= SEGMENT_BYTES  # the segment was read to its end
    gone = bool(numbers) and number < numbers[0] - (1 if whole or number == 0 else 0)
    for segment in numbers:
        if segment < number:
            continue
        start = offset if segment == number else 0
        try:
            for one in _lines(folder, release, segment, start):
                if gone:
                    gone = False
                    told = "output that was not read in time was rotated away here"
                    yield Found(one.nanoseconds, release, (segment, start), "deployd", told)
                yield one
        except FileNotFoundError:
            gone = True


def _last(folder: Path, release: str, limit: int) -> list[Found]:
    """The last lines of one release, oldest first."""
    found: list[Found] = []
    for segment in reversed(_numbers(folder)):
        try:
            found = [*_lines(folder, release, segment, 0), *found]
        except FileNotFoundError:
            break
        if len(found) >= limit:
            break
    return found[-limit:]


def _encode(cursor: Mapping[str, Position]) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor, sort_keys=True).encode()).decode()


def _decode(text: str) -> dict[str, Position]:
    try:
        read = json.loads(base64.b64decode(text.encode(), altchars=b"-_", validate=True))
        cursor = {str(release): (int(at[0]), int(at[1])) for release, at in read.items() if len(at) == 2}
    except (binascii.Error, ValueError, TypeError, AttributeError, KeyError) as error:
        raise _no_cursor() from error
    if len(cursor) != len(read) or any(min(at) < 0 for at in cursor.values()):
        raise _no_cursor()
    return cursor


def _no_cursor() -> InputError:
    remedy = "Read without a cursor, and go on with the one in the answer."
    return InputError("this is no cursor of a log", remedy=remedy)
