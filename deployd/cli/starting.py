"""A server as a child of this process: how it is started, what it said, how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from deployd.cli.exits import ServerUnreachable
from deployd.errors import SettingsError

__all__ = ["ENDING", "MODULE", "Starting", "launch", "make_home", "stuck"]

MODULE = "deployd.app"
"""What a server is, in its command line."""
ENDING = 30.0
"""Seconds within which a server that was told to end has to be gone."""
PAUSE = 0.05
LARGEST_LOG = 10 * 2**20
"""Bytes; a longer log is set aside when a server is started."""
SHOWN = 15
"""Lines of the log that are shown when a server died."""


@dataclass(frozen=True)
class Starting:
    """A server that this process started."""

    log: Path
    process: subprocess.Popen[bytes]
    """Not asyncio's, which would kill it with us: `up -d` leaves it running."""
    said_before: int
    """Bytes of the log that are others'."""

    @property
    def ours(self) -> bool:
        """Whether it lives; else another one of the same home is in charge."""
        return self.process.poll() is None

    def tail(self) -> str:
        """The last lines it wrote."""
        try:
            with self.log.open("rb") as log:
                log.seek(self.said_before)
                return "\n".join(log.read().decode(errors="replace").splitlines()[-SHOWN:])
        except OSError:
            return ""

    def died(self) -> ServerUnreachable:
        """What to say when it ended by itself."""
        code = self.process.returncode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return ServerUnreachable(
            f"the server {how}",
            evidence=self.tail(),
            remedy=f"Put right what it complains of; see {self.log}.",
        )

    async def end(self, *, wait: bool = True) -> None:
        """Tell it to end; services go on. Raises ServerUnreachable when it does not."""
        if not self.ours:
            return
        self.process.terminate()
        until = time.monotonic() + ENDING
        while wait and self.ours:
            if time.monotonic() > until:
                raise stuck(self.process.pid, self.log)
            await asyncio.sleep(PAUSE)


def stuck(pid: int, log: Path) -> ServerUnreachable:
    """What to say of a server that was told to end, and did not."""
    return ServerUnreachable(
        f"the server (process {pid}) has not ended within {ENDING:.0f} s",
        remedy=f"See {log}; end it with `kill -9 {pid}` if need be.",
    )


def launch(home: Path, log: Path) -> Starting:
    """Start a server that trusts this host, in a session of its own; it outlives this process."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    said_before = os.fstat(descriptor).st_size
    try:
        process = subprocess.Popen(
            # -P: never take a module from the folder that we happen to be in.
            [sys.executable, "-P", "-m", MODULE, "--trust-loopback"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=home,
            env={**os.environ, "DEPLOYD_HOME": str(home)},
            start_new_session=True,  # a terminal's Ctrl-C is for us: we tell it when to end
        )
    finally:
        os.close(descriptor)
    return Starting(log, process, said_before)


def make_home(home: Path) -> None:
    """Create the home, passable but not readable for root's servers. Raises SettingsError."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for folder in (*reversed(home.parents), home):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                folder.chmod(mode)  # whatever the umask
    except OSError as error:
        raise SettingsError(
            f"the folder {home} cannot be made",
            evidence=str(error),
            remedy="Let DEPLOYD_HOME be a folder of your own.",
        ) from error
