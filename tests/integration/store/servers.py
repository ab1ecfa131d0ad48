"""Embedded servers in processes of their own, and what tests do to them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import scratch

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root changes users")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl and /proc")

SERVE = """
import asyncio, sys
from pathlib import Path
from deployd.store.embedded import EmbeddedPostgres
async def serve():
    print(await EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
    await asyncio.Event().wait()
asyncio.run(serve())
"""


@contextmanager
def open_folder() -> Iterator[Path]:
    path = scratch("deployd-test-")
    try:
        yield path
    finally:
        kill(*processes(f"-D {path}"))
        shutil.rmtree(path)


@contextmanager
def serving(home: Path, *before: str) -> Iterator[tuple[int, str]]:
    """Another process that runs the server of this home: its number, the server's DSN. Killed at last."""
    with subprocess.Popen(
        [*before, sys.executable, "-c", SERVE, str(home)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            dsn = process.stdout.readline().strip()
            assert dsn, "the server did not start"
            yield process.pid, dsn
        finally:
            process.kill()


@contextmanager
def moved(home: Path, to: Path) -> Iterator[Path]:
    to.parent.mkdir(parents=True, exist_ok=True)
    home.rename(to)
    try:
        yield to
    finally:
        to.rename(home)


def processes(words: str) -> list[int]:
    """The numbers of all living processes whose command line contains these words."""
    listed = subprocess.run(
        ["ps", "-axwwo", "pid=,stat=,command="], capture_output=True, text=True, check=True
    )
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return [int(row[0]) for row in rows if len(row) == 3 and words in row[2] and not row[1].startswith("Z")]


def family(home: Path) -> list[int]:
    """The server's first process and its children."""
    first = first_process(home)
    listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return [first, *(int(pid) for pid, parent in rows if int(parent) == first)]


def first_process(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def kill(*pids: int) -> None:
    """kill -9, and wait until they are gone. Some may have gone with others."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_until(lambda: not set(pids) & set(processes("")))


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.01)


@contextmanager
def changed(path: Path, content: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(content)
    try:
        yield
    finally:
        path.write_text(before)


async def fetchval(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
