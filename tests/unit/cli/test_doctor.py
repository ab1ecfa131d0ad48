"""doctor's checks of this host, well and ill, and how all of them look."""

from __future__ import annotations

import io
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployd.cli import examining
from deployd.cli.doctor import lines, looked
from deployd.cli.terminal import Console, cells
from deployd.model.finding import Finding, Level
from deployd.settings import Settings
from tests.ports import free_port


def test_home(tmp_path: Path) -> None:
    new = examining.home(Settings(tmp_path / "new" / "home"))
    assert (new.level, "is not there yet" in new.summary) == (Level.OK, True)
    assert examining.home(Settings(tmp_path)).level is Level.OK
    (tmp_path / "token").write_text("x")
    (tmp_path / "token").chmod(0o644)
    seen = examining.home(Settings(tmp_path))
    assert (seen.level, seen.summary) == (Level.WRONG, f"other users can read token in {tmp_path}")
    assert seen.remedy.startswith(f"chmod 600 {tmp_path / 'token'}")
    (tmp_path / "token").chmod(0o600)
    assert examining.home(Settings(tmp_path)).level is Level.OK
    (tmp_path / "file").touch()
    assert examining.home(Settings(tmp_path / "file")).level is Level.WRONG


def test_what_cannot_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 100)
    found = looked("home", lambda: examining.home(Settings(folder)))
    assert found.level is Level.WRONG
    assert found.summary.endswith("File name too long")


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examining.disk(Settings(tmp_path / "new")).level is Level.OK
    monkeypatch.setattr(examining, "SCARCE", 2**80)
    assert examining.disk(Settings(tmp_path)).level is Level.WARNING
    monkeypatch.setattr(examining, "NONE_LEFT", 2**80)
    assert examining.disk(Settings(tmp_path)).level is Level.WRONG


def test_port(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        taken = examining.port(Settings(tmp_path, port=port), None)
        assert taken.level is Level.WRONG
        assert f"(process {os.getpid()})" in taken.summary
        assert examining.port(Settings(tmp_path, port=port), os.getpid()).level is Level.OK
    assert examining.port(Settings(tmp_path, port=port), None).level is Level.OK
    assert examining.port(Settings(tmp_path, port=0), None).level is Level.OK


def test_key(tmp_path: Path) -> None:
    assert examining.key(Settings(tmp_path)).level is Level.OK
    (tmp_path / "secret.key").write_text("c2hvcnQ=\n")
    wrong = examining.key(Settings(tmp_path))
    assert wrong.level is Level.WRONG
    assert "c2hvcnQ" not in wrong.summary + wrong.remedy
    (tmp_path / "secret.key").write_text("a2" + "tr" * 20 + "s=\n")
    assert examining.key(Settings(tmp_path)).level is Level.OK
    assert examining.key(Settings(tmp_path, secret_key=b"k" * 32)).level is Level.OK


def test_git(tmp_path: Path) -> None:
    assert examining.git().level is Level.OK
    assert examining.git(str(tmp_path)).summary.startswith("git is not installed")
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.20.1\n")
    (tmp_path / "git").chmod(0o755)
    old = examining.git(str(tmp_path))
    assert (old.level, "is too old: git version 2.20.1" in old.summary) == (Level.WRONG, True)
    (tmp_path / "git").write_text("#!/bin/sh\nexit 1\n")
    assert "does not run" in examining.git(str(tmp_path)).summary


def test_clock() -> None:
    now = datetime(2026, 3, 1, 12, 0, 4, tzinfo=UTC)
    well, ill = (examining.clock(f"Sun, 01 Mar 2026 {text} GMT", now) for text in ("12:00:00", "11:58:00"))
    assert well is not None
    assert ill is not None
    assert (well.level, ill.level) == (Level.OK, Level.WARNING)
    assert "differ by 124 s" in ill.summary
    assert examining.clock(None) is None
    assert examining.clock("yesterday") is None


async def test_the_embedded_database(tmp_path: Path) -> None:
    [none] = await examining.database(Settings(tmp_path))
    assert (none.level, "there is none yet" in none.summary) == (Level.OK, True)
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    assert [one.level for one in await examining.database(Settings(tmp_path))] == [Level.OK]
    (data / "PG_VERSION").write_text("15\n")
    [old] = await examining.database(Settings(tmp_path))
    assert (old.level, "belongs to Postgres 15" in old.summary) == (Level.WRONG, True)


WIDTHS = [40, 80, 160]


@pytest.mark.parametrize("width", WIDTHS)
def test_lines(width: int) -> None:
    long = "a sentence that says a lot about what was seen here, and " * 3
    found = [
        Finding("git", Level.OK, "git 2.39.5"),
        Finding("entrypoint", Level.WRONG, long, f"do {long}", "one\ntwo"),
        Finding("vacuum", Level.WARNING, "short", "wait"),
    ]
    told = lines(found, width, Console(out=io.StringIO(), color=False))
    assert all(cells(one) <= width for one in told)
    assert told[0] == "✔ git         git 2.39.5"
    assert told[1].startswith("✘ entrypoint  a sentence")
    assert "                one" in told
    assert told[-2:] == ["! vacuum      short", "              → wait"]
