"""What a soak is played on: a Postgres on a disk that can be full, the proxy before it, and replicas."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deployd.errors import PostgresUnavailable
from deployd.model.world import SYSTEM, Capability
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.embedded import EmbeddedPostgres
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions
from tests.chaos.proxy import Proxy
from tests.chaos.schedule import WORLDS
from tests.nursery import Nursery

__all__ = ["Disk", "Replica", "Stage", "staged"]

_ROOM = 1 << 30  # bytes of the disk
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # cut in the middle of a message
)
_AUDIT = """
create table chaos_posted (mail bigint not null, what text not null);
create table chaos_consumed (mail bigint not null);
create function chaos_post() returns trigger language plpgsql as $$
begin
    insert into chaos_posted values (new.id, new.machine_id || ' ' || new.trigger);
    return null;
end $$;
create trigger chaos_post after insert on mailbox for each row execute function chaos_post();
"""


class Disk:
    """A small disk of its own for a folder, where this process may mount one; `refusal` says why not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.refusal = ""

    def mount(self) -> None:
        if sys.platform != "linux" or os.geteuid() != 0:
            self.refusal = "only root can mount a small disk"
            return
        self.refusal = self._run("mount", "-t", "tmpfs", "-o", f"size={_ROOM},mode=0711", "deployd-chaos")

    def unmount(self) -> None:
        if not self.refusal:
            self._run("umount", "--lazy")

    def fill(self) -> None:
        """Not one block is left."""
        used = shutil.disk_usage(self._folder).used
        self._run("mount", "-o", f"remount,size={used}")

    def empty(self) -> None:
        if not self.refusal:
            self._run("mount", "-o", f"remount,size={_ROOM}")

    def _run(self, *command: str) -> str:
        try:
            done = subprocess.run([*command, str(self._folder)], capture_output=True, text=True, check=False)
        except OSError as error:
            return str(error)
        return done.stderr.strip() if done.returncode else ""


@dataclass(eq=False)
class Replica:
    """One that shall run, under another process id after each death."""

    name: str
    pid: int = 0
    wanted: bool = True
    starts: int = 0

    @property
    def lives(self) -> bool:
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def signal(self, number: int) -> None:
        if self.lives:
            os.kill(self.pid, number)


@dataclass(eq=False)
class Stage:
    """Everything that faults can reach. `direct` leads past the proxy."""

    home: Path
    postgres: EmbeddedPostgres
    proxy: Proxy
    disk: Disk
    direct: str
    dsn: str
    replicas: list[Replica]
    nursery: Nursery
    seed: int
    log: list[str] = field(default_factory=list)
    """What happened, as it happened."""

    @property
    def weather(self) -> Path:
        return self.home / "weather.json"

    def postmaster(self) -> int | None:
        try:
            return int((self.home / "postgres/data/postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    async def start(self, replica: Replica) -> None:
        """Anew, whatever became of it."""
        replica.starts += 1
        name = f"{self.seed}/{replica.name}/{replica.starts}"
        replica.pid = await self.nursery.fork(dsn=self.dsn, home=str(self.home), world=WORLDS[0], seed=name)

    async def keep(self) -> None:
        """Start replicas again that ended without anybody's wish, as whatever supervises them would."""
        while True:
            for replica in self.replicas:
                if replica.wanted and not replica.lives:
                    await self.start(replica)
            await asyncio.sleep(0.1)

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Past the proxy; waits for a Postgres that is away."""
        async with asyncio.timeout(60):
            while True:
                try:
                    connection = await asyncpg.connect(self.direct, timeout=10)
                    try:
                        return await connection.fetch(statement, *arguments)
                    finally:
                        connection.terminate()
                except (OSError, *_AWAY):
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def staged(seed: int, replicas: int, *, with_disk: bool) -> AsyncIterator[Stage]:
    """The stage, replicas running; everything ends with the context. `with_disk`: Postgres on a small one."""
    home = Path(tempfile.mkdtemp(prefix="deployd-soak-", dir="/tmp"))
    home.chmod(0o711)
    data = home / "postgres"
    data.mkdir(mode=0o711)
    disk = Disk(data)
    async with AsyncExitStack() as stack:
        stack.callback(functools.partial(shutil.rmtree, home, ignore_errors=True))
        disk.refusal = "" if with_disk else "no fault of this soak needs one"
        if with_disk:
            disk.mount()
        stack.callback(disk.unmount)
        postgres = EmbeddedPostgres(data)
        stack.push_async_callback(postgres.stop)
        direct = await postgres.start()
        await _prepare(direct)
        keeping = asyncio.create_task(postgres.keep())
        stack.push_async_callback(_ended, keeping, postgres)
        proxy = Proxy(data / "socket/.s.PGSQL.5432")
        await stack.enter_async_context(proxy.running())
        parts = urlsplit(direct)
        dsn = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}"
        nursery = Nursery("tests.chaos.replica")
        made = [Replica(f"replica {number}") for number in range(replicas)]
        stage = Stage(home, postgres, proxy, disk, direct, f"{dsn}?sslmode=disable", made, nursery, seed)
        stack.push_async_callback(_end_replicas, stage)
        supervising = asyncio.create_task(stage.keep())
        stack.push_async_callback(_cancelled, supervising)
        yield stage


async def _prepare(dsn: str) -> None:
    await migrate(dsn)
    async with Database(dsn, size=1) as db:
        await worlds.add(db, SYSTEM, {})
        for name in WORLDS:
            able = {
                "main": Capability("deploy:process", approval=name == "beta"),
                "data": Capability("local/postgres"),
                "entrypoint": Capability("route:standin"),
            }
            await worlds.add(db, name, able, ephemeral=name == "gamma")
        await ensure_partitions(db)
        await db.pool.execute(_AUDIT)


async def _end_replicas(stage: Stage) -> None:
    for replica in stage.replicas:
        replica.wanted = False
        replica.signal(signal.SIGKILL)
    await asyncio.to_thread(stage.nursery.close)


async def _ended(keeping: asyncio.Task[None], postgres: EmbeddedPostgres) -> None:
    try:
        await postgres.stop()
    except PostgresUnavailable:
        pass
    await asyncio.gather(keeping, return_exceptions=True)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
