"""One embedded Postgres for the session, one fresh copy of the migrated template for each test."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest import mock

import asyncpg
import pytest

from deployd.model.world import SYSTEM, Capability
from deployd.store import embedded, worlds
from deployd.store.database import Database
from deployd.store.embedded import EmbeddedPostgres
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions

_numbers = itertools.count(1)
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"  # whoever runs the tests may have contexts of their own
# A server that compiles everything anew takes twice as long to start, and tests start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_MEMORY = Path("/dev/shm")
_ENOUGH = 2 * 2**30
"""Bytes that have to be free there: a server needs an eighth of it, and each worker of xdist has one."""


def scratch(prefix: str) -> Path:
    """A new folder in memory, where there is room and programs may be run, else on the disk.

    Unlike pytest's own folders, other users may pass through: an embedded Postgres runs as one of them.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_scratch()))
    folder.chmod(0o711)
    return folder


@functools.cache
def _scratch() -> Path:
    """The same for all of a process: folders are moved from one to another."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        memory = os.statvfs(_MEMORY)
        if memory.f_bavail * memory.f_frsize >= _ENOUGH and not memory.f_flag & os.ST_NOEXEC:
            return _MEMORY
    return Path("/tmp")


def at(dsn: str, database: str) -> str:
    """The same server, another database."""
    head, _, query = dsn.partition("?")
    return f"{head.rpartition('/')[0]}/{database}?{query}"


async def statement(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a server whose database `template` is migrated and has the worlds `system` and `local`."""
    home = scratch("deployd-test-")
    server = EmbeddedPostgres(home / "postgres")
    loop = asyncio.new_event_loop()
    # A loop of its own that lives as long as the server: each test has another one.
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def prepare() -> str:
        with mock.patch.dict(embedded.SETTINGS, {"max_wal_size": "128MB"}):  # it may be in memory
            dsn = await server.start()
        await statement(dsn, "create database template")
        await migrate(at(dsn, "template"))
        async with Database(at(dsn, "template"), size=1) as db:
            await worlds.add(db, SYSTEM, {})
            await worlds.add(db, "local", {"main": Capability("deploy:process")})
            await ensure_partitions(db)
        return dsn

    try:
        yield asyncio.run_coroutine_threadsafe(prepare(), loop).result(300)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(300)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """A database of this test alone."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await statement(postgres, f"create database {name} template template strategy file_copy")
    yield at(postgres, name)
    await statement(postgres, f"drop database {name} with (force)")


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """The same, open."""
    async with Database(dsn) as db:
        yield db
