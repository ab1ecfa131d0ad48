"""The written log: cutting lines, turning segments, and what a full disk or a death leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployd.drivers.process.logs import read_page
from deployd.drivers.process.shim.files import (
    LINE_BYTES,
    SEGMENT_BYTES,
    SEGMENTS_KEPT,
    Segments,
    Stream,
    write_whole,
)
from deployd.drivers.process.shim.redaction import Redaction


def texts(folder: Path) -> list[str]:
    return [line.text for line in read_page({"r": ("cart-1", folder)}, None, 100_000).lines]


def test_lines_are_cut() -> None:
    out, into = os.pipe()
    stream = Stream(out, "o", Redaction(()))
    assert stream.read() == []
    os.write(into, b"one\ntwo\nthr")
    assert stream.read() == [b"one", b"two"]
    os.write(into, b"ee\n" + b"x" * (LINE_BYTES + 5))
    assert stream.read() == [b"three", b"x" * LINE_BYTES, b"x" * 5]
    os.close(into)
    assert stream.read() is None
    os.close(out)


def test_segments_turn_and_the_oldest_go(tmp_path: Path) -> None:
    log = Segments(tmp_path / "logs")
    for number in range(12 * SEGMENT_BYTES // 10_000):
        log.write("o", [b"%d " % number + b"x" * 10_000])
    assert len(log.numbers()) == SEGMENTS_KEPT
    assert log.dropped == 0
    numbers = [int(text.split()[0]) for text in texts(tmp_path / "logs")]
    assert numbers == list(range(numbers[0], 12 * SEGMENT_BYTES // 10_000))


def test_a_torn_line_goes(tmp_path: Path) -> None:
    Segments(tmp_path / "logs").write("o", [b"whole"])
    (file,) = (tmp_path / "logs").iterdir()
    with file.open("ab") as out:
        out.write(b"123 o to")
    assert texts(tmp_path / "logs") == ["whole"]
    Segments(tmp_path / "logs").write("o", [b"next"])
    assert texts(tmp_path / "logs") == ["whole", "next"]


def test_what_the_disk_does_not_take_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Segments(tmp_path / "logs")
    log.write("o", [b"before"])
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2 + 3]))
    log.write("o", [b"first", b"second", b"third", b"fourth"])  # the disk takes a little more than half
    monkeypatch.undo()
    log.write("o", [b"after"])
    assert texts(tmp_path / "logs") == ["before", "first", "second", "after"]
    assert log.dropped == 2


def test_time_never_runs_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    log = Segments(tmp_path / "logs")
    log.write("o", [b"one"])
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    log.write("o", [b"two"])
    page = read_page({"r": ("cart-1", tmp_path / "logs")}, None, 10)
    assert page.lines[0].at == page.lines[1].at


def test_a_cursor_at_a_whole_segments_end_lost_nothing(tmp_path: Path) -> None:
    log = Segments(tmp_path / "logs")
    for _ in range(SEGMENT_BYTES // 10_000 + 1):
        log.write("o", [b"x" * 10_000])
    where = {"r": ("cart-1", tmp_path / "logs")}
    page = read_page(where, None, 10)
    log.write("o", [b"next"])
    assert log.numbers() == [1, 2]
    log.file(1).unlink()
    assert [line.text for line in read_page(where, page.cursor, 10).lines] == ["next"]


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    write_whole(file, "one")
    write_whole(file, "two", durable=True)
    assert file.read_text() == "two"
    with pytest.raises(OSError):  # noqa: PT011
        write_whole(tmp_path / "nowhere" / "x", "y")
    assert [one.name for one in tmp_path.iterdir()] == ["status.json"]
