"""One world's server, as a process: found by its data directory, started in the background, told to stop.

Nothing here is kept in memory. Whoever starts or stops holds the folder's lock; whoever looks needs none.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deployd.drivers.detached import start_detached
from deployd.drivers.postgres import launch
from deployd.drivers.postgres.folder import Folder
from deployd.drivers.postgres.naming import HOST
from deployd.drivers.postgres.ports import choose_port, holder, is_free
from deployd.errors import Retryable
from deployd.model.reason import Reason
from deployd.postgres.account import WORLDS, unprivileged
from deployd.postgres.cluster import LOG, USER, Cluster, make_home, prepare
from deployd.postgres.leftover import Processes, disown_pid_file, end_leftovers, find_processes
from deployd.postgres.serving import arguments, clear_socket, open_log, socket_folder, tail, title_of

__all__ = ["Running", "Server", "in_thread"]

T = TypeVar("T")
LAUNCHING = 10.0
"""Seconds for the server's program to begin."""
ENDING = 3.0
"""Seconds for which one call waits for a server to end."""
OVERDUE = 60.0
"""Seconds after which one that was told to stop is told to drop everything; what was committed stays."""
PAUSE = 0.03
PROGRAM = Path(launch.__file__)
RULES = f"""\
local all      {USER}               scram-sha-256
local all      all                  reject
host  all      {USER} all           reject
host  sameuser all    {HOST}/32  scram-sha-256
"""
"""Administration by the socket alone, which only the server's user and root reach; roles, their databases."""
SETTINGS = {
    "listen_addresses": HOST,
    "password_encryption": "scram-sha-256",
    "max_connections": "400",
    "superuser_reserved_connections": "10",
    "shared_buffers": "64MB",
    # The log has what the server does, and nothing of what it is asked, nor how that went.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server's process, and where it says that it listens."""

    pid: int
    port: int
    socket: Path
    status: str
    """`ready`, `starting`, `stopping`; empty while it does not say."""


class Server:
    """The server of one world."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._home = folder.path
        self._data = folder.path / "data"
        self._title = title_of(folder.path)
        self._account = unprivileged(WORLDS)

    def running(self) -> Running | None:
        """The process that serves this data directory, if there is one. Blocks for milliseconds."""
        if not self._data.is_dir():
            return None
        pid = self._processes().server
        if pid is None:
            return None
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            if int(lines[0]) == pid:
                return Running(pid, int(lines[3]), Path(lines[4]), lines[7].strip())
        except (FileNotFoundError, IndexError, ValueError):
            pass  # it has not written all of it, or an earlier one's is still there
        return Running(pid, 0, Path(), "")

    @property
    def password(self) -> str:
        """Of the administrator."""
        return (self._home / "password").read_text()

    def said(self, after: int = 0) -> str:
        """The last lines of its log behind the byte `after`."""
        try:
            return tail(self._home / LOG, after)
        except FileNotFoundError:
            return ""

    def log_size(self) -> int:
        """The byte at which what it says from now on begins."""
        try:
            return (self._home / LOG).stat().st_size
        except FileNotFoundError:
            return 0

    async def start(self, lock: int, first: int, last: int) -> Reason | None:
        """Have it begin; the caller holds `lock`, and saw none running. A reason: it cannot have its port.

        Raises PostgresUnavailable, Retryable; TimeoutError while remains of an earlier one end.
        """
        async with asyncio.timeout(ENDING):
            await end_leftovers(self._data, self._title, self._uid)
        return await in_thread(lambda: self._start(lock, first, last))

    def _start(self, lock: int, first: int, last: int) -> Reason | None:
        self.folder.note_stopping(stopping=False)
        make_home(self._home)
        cluster = prepare(self._home, self._account)
        port = self.folder.port
        if port is None:
            # Spread, so that two homes on one host seldom want the same.
            start = int(self._title.rpartition("-")[2], 16)
            port = choose_port(start, self.folder.taken_ports(), first, last)
        elif not is_free(port):
            return port_taken(port)
        self._launch(lock, cluster, port)
        return None

    def _launch(self, lock: int, cluster: Cluster, port: int) -> None:
        socket = socket_folder(self._home, self._title, self._account)
        clear_socket(socket, port)
        disown_pid_file(self._data)
        rules = self._home / "pg_hba.conf"
        rules.write_text(RULES, encoding="ascii")
        rules.chmod(0o644)  # the server's user reads it
        log = self._home / LOG
        open_log(log).close()
        settings = SETTINGS | {"port": str(port), "hba_file": str(rules)}
        uid, gid = (self._account.uid, self._account.gid) if self._account else (-1, -1)
        status, said = start_detached(
            PROGRAM,
            *(str(lock), str(log), str(uid), str(gid), str(os.getpid())),
            *arguments(cluster, self._title, socket, settings),
            name=f"the Postgres in {self._home}",
            patience=LAUNCHING,
            pass_fds=(lock,),
        )
        if status:
            raise Retryable(f"the Postgres in {self._home} cannot be run", evidence=said[-2000:])

    async def stop(self) -> bool:
        """Tell it to end, and wait a little; whether nothing of it runs. The caller holds the lock."""
        until = time.monotonic() + ENDING
        told = False
        while True:
            found = await in_thread(self._processes)
            if found.server is None:
                break
            if not told:
                told = True
                since = self.folder.stopping_since()
                overdue = since is not None and time.time() - since > OVERDUE
                if since is None:
                    self.folder.note_stopping(stopping=True)
                self._tell(found.server, signal.SIGQUIT if overdue else signal.SIGINT)
            if time.monotonic() > until:
                return False
            await asyncio.sleep(PAUSE)
        if found.others:
            async with asyncio.timeout(ENDING):
                await end_leftovers(self._data, self._title, self._uid)
        if self._home.is_dir():
            self.folder.note_stopping(stopping=False)
        await in_thread(self._leave_socket)
        return True

    def _leave_socket(self) -> None:
        """A socket folder outside of the home goes with the server; the next start makes it again."""
        if not self._data.is_dir():
            return
        folder = socket_folder(self._home, self._title, self._account)
        if folder.parent != self._home:
            try:
                for one in folder.iterdir():
                    one.unlink()
                folder.rmdir()
            except OSError:
                pass  # the next start takes it

    def _processes(self) -> Processes:
        return find_processes(self._data, self._title, self._uid)

    @property
    def _uid(self) -> int:
        return self._account.uid if self._account else os.geteuid()

    def _tell(self, pid: int, number: signal.Signals) -> None:
        """Signal this very server: a process that has its number by now is left alone."""
        try:
            if not hasattr(os, "pidfd_open"):
                os.kill(pid, number)
                return
            handle = os.pidfd_open(pid)
            try:
                if self._processes().server == pid:  # what is seen after opening is what was opened
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)
        except ProcessLookupError:
            pass  # it ended meanwhile


def port_taken(port: int) -> Reason:
    """Why a world's server does not come back. It gets no other port: running services were told this one."""
    return Reason(
        "PORT_TAKEN",
        f"port {port} of {HOST}, which this world's databases have, is in use by {holder(port)}",
        remedy=f"End that program, or give it another port; then retry. Services were told port {port}.",
    )


async def in_thread(work: Callable[[], T]) -> T:
    """Run what blocks. A cancelled caller waits for it, as it works under a lock and cannot be cancelled."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # nobody else will look at it
        raise
