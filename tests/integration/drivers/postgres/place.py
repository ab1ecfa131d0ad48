"""A home for the driver of databases, and the words in which its tests speak."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg

from deployd.drivers.api import Done, DriverContext, Progress, ResourceSpec, Wait
from deployd.drivers.postgres.driver import LocalPostgres
from deployd.drivers.postgres.driver import create as create_postgres
from tests.conftest import scratch
from tests.contract.provision_once import the_resource
from tests.integration.store.servers import family, first_process, kill, processes
from tests.ports import DATABASES, settings

DRIVER = "local/postgres"
PROMPT = 20.0
"""Seconds that no call may take, on a machine with other work to do."""


@dataclass
class Place:
    """One driver's home, of one world."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def server_home(self) -> Path:
        return self.home / "7"

    @property
    def driver(self) -> LocalPostgres:
        """A new one each time, as after a restart of deployd."""
        made = create_postgres(settings(DATABASES), DriverContext(self.home, "here"))
        assert isinstance(made, LocalPostgres)
        return made

    def resource(self, name: str = "cart.db", password: str = "") -> ResourceSpec:
        return the_resource(uuid4(), name, password or uuid4().hex)

    async def apply(self, resource: ResourceSpec) -> Mapping[str, str]:
        return (await finish(lambda: self.driver.apply(resource))).outputs

    async def suspend(self, resource: ResourceSpec) -> None:
        await finish(lambda: self.driver.suspend(resource))

    async def destroy(self, resource: ResourceSpec) -> None:
        await finish(lambda: self.driver.destroy(resource))

    @property
    def pid(self) -> int:
        return first_process(self.server_home)

    def says_ready(self) -> bool:
        pid_file = self.server_home / "data" / "postmaster.pid"
        return pid_file.exists() and "ready" in pid_file.read_text()

    def servers(self) -> list[int]:
        """The first processes of all servers of this home."""
        return processes(f"postgres -D {self.home}/")

    def kill_server(self) -> None:
        """kill -9 of everything that belongs to it."""
        kill(*family(self.server_home))

    async def administer(self, query: str, database: str = "postgres") -> list[asyncpg.Record]:
        """As deployd does, by the socket."""
        lines = (self.server_home / "data" / "postmaster.pid").read_text().splitlines()
        connection = await asyncpg.connect(
            host=lines[4],
            port=int(lines[3]),
            user="deployd",
            password=(self.server_home / "password").read_text(),
            database=database,
        )
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    async def objects(self) -> list[tuple[str, str]]:
        """Name and tag of every database and role that a resource could have."""
        if not self.servers():
            return []
        rows = await self.administer(
            "select datname, shobj_description(oid, 'pg_database') from pg_database"
            " where not datistemplate and datname <> 'postgres'"
            " union all select rolname, shobj_description(oid, 'pg_authid') from pg_roles"
            " where rolcanlogin and rolname <> 'deployd' order by 1"
        )
        return [(row[0], row[1]) for row in rows]

    def names(self) -> set[str]:
        """Of all files in the home, without those of the server's data."""
        return {str(one.relative_to(self.home)) for one in self.home.rglob("*") if "data" not in one.parts}


async def query(outputs: Mapping[str, str], text: str) -> list[asyncpg.Record]:
    """As a service does, by its URL."""
    connection = await asyncpg.connect(outputs["url"])
    try:
        return await connection.fetch(text)
    finally:
        await connection.close()


async def finish(call: Callable[[], Awaitable[Progress]], seconds: float = 30) -> Done:
    """Call until it says something other than Wait, as the engine does; each call has to be prompt."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        progress = await call()
        assert time.monotonic() - began < PROMPT
        if not isinstance(progress, Wait):
            assert isinstance(progress, Done), progress
            return progress
        assert time.monotonic() < end, progress
        await asyncio.sleep(progress.seconds)


async def helper(place: Place, verb: str, resource: ResourceSpec) -> Process:
    """A process that will do this once."""
    where = (DRIVER, place.home, verb, resource.resource_id, resource.name, resource.password)
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.provision_once", *map(str, where), stdin=PIPE, stdout=PIPE
    )
    assert started.stdout is not None
    assert await started.stdout.readline() == b"ready\n"
    return started


async def killed_after(started: Process, seconds: float) -> bytes:
    """Let it go on, and kill it some time later: what it said until then."""
    assert started.stdin is not None
    started.stdin.write(b"go\n")
    await started.stdin.drain()
    await asyncio.sleep(seconds)
    if started.returncode is None:
        started.kill()
    return (await started.communicate())[0]


@contextmanager
def place() -> Iterator[Place]:
    """Not pytest's own folder: the server runs as another user, who has to pass through."""
    root = scratch("deployd-pg-")
    try:
        yield Place(root)
    finally:
        kill(*(one for home in root.glob("**/postmaster.pid") for one in _family(home.parent.parent)))
        kill(*processes(f"-D {root}"))
        shutil.rmtree(root)


def _family(home: Path) -> list[int]:
    first = first_process(home)
    return family(home) if first in processes(f"-D {home}") else []
