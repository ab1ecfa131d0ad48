"""A Postgres of deployd's own, for a laptop or a single server: no administrator, no port, no container.

The server is a child of this process, and where the kernel can promise it (Linux) it shuts down cleanly
when this process is gone, even by `kill -9`. What is killed together with it recovers at the next start
by itself. Exactly one process uses a home at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote

import asyncpg

from deployd.errors import PostgresUnavailable
from deployd.postgres.account import ENVIRONMENT, SERVER, as_child, unprivileged
from deployd.postgres.cluster import LOG, USER, Cluster, make_home, prepare
from deployd.postgres.leftover import disown_pid_file, end_leftovers
from deployd.postgres.serving import PORT, arguments, clear_socket, open_log, socket_folder, tail, title_of

__all__ = ["EmbeddedPostgres"]

log = logging.getLogger(__name__)

STOPPING = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
"""What the server is sent, and for how many seconds it is then waited for."""
ANSWERING = 30.0
"""Seconds within which a started server has to answer anything."""
RECOVERING = 600.0
"""Seconds within which a server that answers "not yet" has to be ready."""
PAUSE = 0.02
"""Seconds between two looks at a server that starts."""
FIRST_BACKOFF, LAST_BACKOFF = 0.1, 30.0
"""Seconds before a server that ended is started again; doubled each time, until one lived for the last."""
ELSE = "Or set DEPLOYD_DATABASE_URL to a Postgres of your own."
SETTINGS = {
    "port": str(PORT),
    "listen_addresses": "",
    "max_connections": "50",
    "shared_buffers": "64MB",
}


class EmbeddedPostgres:
    """The server of one home. Start it from a loop whose thread lives as long as the server shall."""

    def __init__(self, home: Path) -> None:
        """`home`: a folder of its own; it may not exist yet."""
        self._home = home.resolve()
        self._title = title_of(self._home)
        self._lock: int | None = None
        self._cluster: Cluster | None = None
        self._socket = self._home / "socket"
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._turn = asyncio.Lock()
        """Held while the server is being launched or stopped."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> str:
        """Start the server and wait until it accepts connections; the DSN of its database.

        Started already, it only answers. Raises PostgresUnavailable, and has left nothing running then.
        """
        if self._cluster is not None and not self._stopping.is_set():
            return self._dsn(self._cluster, USER)
        self._stopping.clear()
        with _named_alternative():
            make_home(self._home)
        try:
            self._lock = _lock(self._home)
            cluster = await self._prepare()
            self._socket = socket_folder(self._home, self._title, cluster.account)
            async with self._turn:
                await self._launch(cluster)
        except BaseException:
            await self.stop()
            raise
        self._cluster = cluster
        return self._dsn(cluster, USER)

    async def stop(self) -> None:
        """End the server, cleanly if it can. Not started or stopped already, nothing happens."""
        self._stopping.set()
        async with self._turn:
            await self._end()
            self._cluster = None
            if self._lock is not None:
                if self._socket.parent != self._home:
                    try:
                        self._socket.rmdir()
                    except OSError:
                        pass  # a killed server's socket is in it; the next start takes it
                    self._socket = self._home / "socket"
                os.close(self._lock)
                self._lock = None

    async def wait_exited(self) -> int | None:
        """Wait until the server that runs now has ended: its exit status, negative for a signal.

        None at once when there is none.
        """
        return None if self._process is None else await self._process.wait()

    async def keep(self) -> None:
        """Start the server again whenever it ends by itself, later each time, until `stop`.

        Addresses and passwords stay the same; connections are lost.
        """
        backoff = FIRST_BACKOFF
        while (cluster := self._cluster) is not None:
            started = time.monotonic()
            status = await self.wait_exited()
            if time.monotonic() - started > LAST_BACKOFF:
                backoff = FIRST_BACKOFF
            if self._stopping.is_set():
                return
            log.warning("the embedded Postgres ended with status %s; starting it again", status)
            try:
                async with asyncio.timeout(backoff):
                    await self._stopping.wait()
            except TimeoutError:
                pass  # nobody stopped it meanwhile
            backoff = min(2 * backoff, LAST_BACKOFF)
            async with self._turn:
                if self._stopping.is_set():
                    return
                try:
                    await self._launch(cluster)
                except PostgresUnavailable as error:
                    log.error("%s\n%s", error.message, error.evidence)
                    await self._end()

    async def _prepare(self) -> Cluster:
        preparing = asyncio.create_task(asyncio.to_thread(prepare, self._home, unprivileged(SERVER)))
        try:
            with _named_alternative():
                return await asyncio.shield(preparing)
        except asyncio.CancelledError:
            await asyncio.wait([preparing])  # a thread cannot be cancelled, and it works under our lock
            raise

    def _dsn(self, cluster: Cluster, database: str) -> str:
        where = f"host={quote(str(self._socket), safe='/')}&port={PORT}"
        return f"postgresql://{USER}:{quote(cluster.password, safe='')}@/{database}?{where}"

    async def _launch(self, cluster: Cluster) -> None:
        """One server, ready, with its database. It may be left running when this raises."""
        uid = cluster.account.uid if cluster.account else os.geteuid()
        try:
            await end_leftovers(cluster.data, self._title, uid)
            disown_pid_file(cluster.data)
            clear_socket(self._socket)
            with open_log(self._home / LOG) as output:
                said_before = output.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *arguments(cluster, self._title, self._socket, SETTINGS),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,  # Ctrl-C is for deployd, which stops the server when it is done
                    preexec_fn=as_child(cluster.account, signal.SIGINT),
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise PostgresUnavailable(
                f"The embedded Postgres in {self._home} cannot be run",
                remedy="Put right what it stumbled over, or set DEPLOYD_DATABASE_URL.",
                evidence=str(error),
            ) from error
        await self._wait_ready(cluster, self._process, said_before)

    async def _wait_ready(
        self, cluster: Cluster, process: asyncio.subprocess.Process, said_before: int
    ) -> None:
        now = time.monotonic()
        deadline, last = now + ANSWERING, now + RECOVERING
        while True:
            try:
                await self._ensure_database(cluster)
                return
            except asyncpg.CannotConnectNowError as error:
                deadline, seen = last, str(error)
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                raise PostgresUnavailable(
                    f"The embedded Postgres in {self._home} refuses deployd",
                    remedy="Restore the files data and password of this folder together.",
                    evidence=str(error),
                ) from error
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                seen = str(error)
            if process.returncode is not None:
                seen = f"it ended with status {process.returncode}"
            elif time.monotonic() < deadline and not self._stopping.is_set():
                await asyncio.sleep(PAUSE)
                continue
            raise PostgresUnavailable(
                f"The embedded Postgres in {self._home} does not start: {seen}",
                remedy=f"Put right what {self._home / 'postgres.log'} complains of.",
                evidence=tail(self._home / LOG, said_before),
            )

    async def _ensure_database(self, cluster: Cluster) -> None:
        connection = await asyncpg.connect(self._dsn(cluster, "postgres"), timeout=ANSWERING)
        try:
            if not await connection.fetchval("select true from pg_database where datname = $1", USER):
                await connection.execute(f"create database {USER}")
        finally:
            connection.terminate()

    async def _end(self) -> None:
        process, self._process = self._process, None
        for number, patience in STOPPING:
            if process is None or process.returncode is not None:
                return
            try:
                process.send_signal(number)
                async with asyncio.timeout(patience):
                    await process.wait()
            except (ProcessLookupError, TimeoutError):
                pass  # the next look tells which


@contextmanager
def _named_alternative() -> Iterator[None]:
    """Whoever cannot have this server may bring another one."""
    try:
        yield
    except PostgresUnavailable as error:
        error.remedy += f" {ELSE}"
        raise


def _lock(home: Path) -> int:
    """The descriptor that holds the home for us; the kernel lets go of it with us."""
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        raise PostgresUnavailable(
            f"{home} is in use by process {holder}",
            remedy="Stop that deployd, or set another DEPLOYD_HOME for this one.",
        ) from error
    os.truncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())
    return descriptor
