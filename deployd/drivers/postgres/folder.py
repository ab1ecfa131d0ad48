"""What is on record of one world: which resources it has, its server's port, and that it is to go.

HOME/WORLD.lock            whoever starts or stops the server, or changes what is below, holds it
HOME/WORLD/resources/ID    a resource: `in use` or `suspended`; written before anything is made for it
HOME/WORLD/port            the server's, for ever, since it first served
HOME/WORLD/discard         the last resource was destroyed: all of it goes
HOME/WORLD/stopping        since when the server has been told to stop
HOME/WORLD/pg_hba.conf     who may connect, written at each start
HOME/WORLD/…               the server's own, see deployd/postgres/cluster.py
HOME/gone-WORLD-…          was discarded; what a crash left of it goes with the next destroy
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from deployd.postgres.cluster import make_home

__all__ = ["LOCK_PATIENCE", "Folder"]

LOCK_PATIENCE = 3.0
"""Seconds; then somebody else is asked to come again."""
PAUSE = 0.01
IN_USE, SUSPENDED = "in use", "suspended"


class Folder:
    """One world's. Everything but `locked` blocks: for moments, or as long as removing files takes."""

    def __init__(self, home: Path, world_id: int) -> None:
        self.home = home
        self.world_id = world_id
        self.path = home / str(world_id)
        self._resources = self.path / "resources"

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[int | None]:
        """Alone among all tasks and processes: the descriptor that holds the lock; None: another one has it.

        It is let go of by closing: a program that inherits the descriptor keeps the lock until it closes
        its own.
        """
        lock = await asyncio.to_thread(self._open_lock)
        try:
            until = time.monotonic() + LOCK_PATIENCE
            held = None
            while held is None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held = lock
                except BlockingIOError:
                    if time.monotonic() > until:
                        break
                    await asyncio.sleep(PAUSE)
            yield held
        finally:
            os.close(lock)

    def _open_lock(self) -> int:
        make_home(self.home)
        return os.open(self.home / f"{self.world_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def resources(self) -> dict[UUID, bool]:
        """All on record, and whether they are in use."""
        found: dict[UUID, bool] = {}
        try:
            for one in self._resources.iterdir():
                if not one.name.startswith("."):
                    found[UUID(one.name)] = one.read_text(encoding="ascii") == IN_USE
        except FileNotFoundError:
            pass  # there are none; or one goes, and whoever holds the lock cannot see that
        return found

    def keep(self, resource_id: UUID, *, in_use: bool) -> None:
        """Have it on record like this."""
        if self.resources().get(resource_id) is not in_use:
            make_home(self.path)
            self._resources.mkdir(mode=0o700, exist_ok=True)
            _write(self._resources / str(resource_id), IN_USE if in_use else SUSPENDED)

    def forget(self, resource_id: UUID) -> None:
        """Have it on record no more. The last one takes everything with it, which is on record first."""
        left = set(self.resources()) - {resource_id}
        if not left and self.path.is_dir():
            _write(self.path / "discard", "")
        (self._resources / str(resource_id)).unlink(missing_ok=True)

    @property
    def port(self) -> int | None:
        """The server's, once it has served."""
        try:
            return int((self.path / "port").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def keep_port(self, port: int) -> None:
        """The server serves there, and always will."""
        if self.port is None:
            _write(self.path / "port", str(port))

    def taken_ports(self) -> set[int]:
        """Of the other worlds of this home, whether their servers run or not."""
        folders = (Folder(self.home, int(one.name)) for one in self.home.iterdir() if one.name.isdecimal())
        return {one.port for one in folders if one.port is not None and one.world_id != self.world_id}

    def discarded(self) -> bool:
        """Whether all of it is to go."""
        return (self.path / "discard").exists()

    def discard(self) -> None:
        """Let it go: at once for whoever looks, and then from the disk. Nothing runs on it any more."""
        if self.path.is_dir():
            self.path.rename(self.home / f"gone-{self.world_id}-{uuid4().hex}")
        self.sweep()

    def sweep(self) -> None:
        """Remove what a crash left of something discarded."""
        for one in self.home.glob(f"gone-{self.world_id}-*"):
            shutil.rmtree(one, ignore_errors=True)

    def stopping_since(self) -> float | None:
        """The time at which the server was told to stop; None when it was not."""
        try:
            return (self.path / "stopping").stat().st_mtime
        except FileNotFoundError:
            return None

    def note_stopping(self, *, stopping: bool) -> None:
        """The server was told to stop just now, or has no such order (any more)."""
        if stopping:
            (self.path / "stopping").touch(mode=0o600)
        else:
            (self.path / "stopping").unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Replace a file at once, durably."""
    descriptor, draft = tempfile.mkstemp(prefix=".", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(draft).rename(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
