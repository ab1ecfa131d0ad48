"""git's process: ended whatever happens. A script stands for a git that is slow, broken or absent."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from deployd.errors import Retryable, Terminal
from deployd.sources import Trees
from deployd.sources import git as git_module
from deployd.sources.git import git

REAL = str(shutil.which("git"))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def script(tools: Path, body: str) -> None:
    (tools / "git").write_text(f"#!/bin/sh\n{body}\n")
    (tools / "git").chmod(0o755)


def alive(pid: int) -> bool:
    """A zombie is dead: who reaps orphans here is the container's business."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def pids(tools: Path) -> list[int]:
    """Of the script and its child, once both run."""
    async with asyncio.timeout(30):
        while not (tools / "pids").exists() or len((tools / "pids").read_text().split()) < 2:
            await asyncio.sleep(0.01)
    return [int(pid) for pid in (tools / "pids").read_text().split()]


async def gone(pids: list[int]) -> None:
    async with asyncio.timeout(30):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.01)


def slow(tools: Path, command: str) -> None:
    """A git whose `command` waits in a child; whatever else it is asked, the real one does."""
    script(
        tools,
        f'case " $* " in *" {command} "*) sleep 60 & echo $$ $! > {tools}/pids; wait;; esac\n'
        f'exec {REAL} "$@"',
    )


@pytest.mark.parametrize("command", ["init", "add", "write-tree"])
async def test_cancelling_kills_the_group_and_leaves_nothing(
    tools: Path, tmp_path: Path, command: str
) -> None:
    slow(tools, command)
    trees = Trees(tmp_path / "home" / "sources")
    task = asyncio.create_task(trees.snapshot(tools))
    running = await pids(tools)
    assert all(alive(pid) for pid in running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(running)
    assert list((tmp_path / "home" / "sources").glob("unfinished-*")) == []
    (tools / "git").unlink()
    (tools / "pids").unlink()
    await trees.snapshot(tools)


async def test_cancelling_before_it_runs(tools: Path) -> None:
    script(tools, f"echo $$ $$ > {tools}/pids; exec sleep 60")
    for turns in range(8):
        task = asyncio.create_task(git("status"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if (tools / "pids").exists() and (tools / "pids").read_text().strip():
            await gone(await pids(tools))


async def test_too_slow(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_module, "SECONDS_MAXIMUM", 3.0)  # within which it has begun
    slow(tools, "status")
    with pytest.raises(Retryable, match="git status did not end within") as caught:
        await git("status")
    assert ".gitignore" in caught.value.remedy
    await gone(await pids(tools))


async def test_not_installed(tools: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(Terminal, match="git cannot be started") as caught:
        await Trees(tmp_path / "home" / "sources").snapshot(tools)
    assert "Install git" in caught.value.remedy


async def test_a_command_that_fails(tools: Path, tmp_path: Path) -> None:
    script(tools, f'case " $* " in *" write-tree "*) echo bad news >&2; exit 3;; *) exec {REAL} "$@";; esac')
    with pytest.raises(Terminal, match="git write-tree failed with status 3") as caught:
        await Trees(tmp_path / "home" / "sources").snapshot(tools)
    assert caught.value.evidence == "bad news"


async def test_a_file_that_vanishes_meanwhile_is_no_failure(tools: Path, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "file").write_text("x")
    script(
        tools,
        f"case \" $* \" in *' add '*) if mkdir {tools}/once 2>/dev/null; then "
        f"echo \"fatal: unable to stat 'swap': No such file or directory\" >&2; exit 128; fi;; esac\n"
        f'exec {REAL} "$@"',
    )
    trees = Trees(tmp_path / "home" / "sources")
    made = await trees.checkout(await trees.snapshot(app))
    assert (tools / "once").exists()
    assert [one.name for one in made.iterdir()] == ["file"]


async def test_a_full_disk_is_no_fault_of_the_directory(tools: Path, tmp_path: Path) -> None:
    script(
        tools,
        'case " $* " in *" add "*) echo "error: No space left on device" >&2; exit 128;; esac\n'
        f'exec {REAL} "$@"',
    )
    with pytest.raises(Terminal, match="cannot be written to deployd's home") as caught:
        await Trees(tmp_path / "home" / "sources").snapshot(tools)
    assert "No space left" in caught.value.evidence


async def test_nothing_of_the_environment_but_the_path(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("SECRET", "x")
    script(tools, "/usr/bin/env; umask")
    said = (await git("status")).output.decode()
    names = {line.partition("=")[0] for line in said.splitlines() if "=" in line}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD", "TMPDIR", "LD_LIBRARY_PATH"} == {
        "PATH",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_TERMINAL_PROMPT",
        "LC_ALL",
    }
    assert said.endswith("0022\n")
