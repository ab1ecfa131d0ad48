"""The server of this host: whether it runs, where it answers, how it is started and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from deployd.cli.exits import ServerUnreachable
from deployd.errors import SettingsError
from deployd.settings import Settings

__all__ = ["MODULE", "LocalServer", "Running", "Starting"]

MODULE = "deployd.app"
"""What a server is, in its command line."""
STARTING = 60.0
"""Seconds within which a server that was started has to be ready."""
ENDING = 30.0
"""Seconds within which a server that was told to end has to be gone."""
PAUSE = 0.05
LARGEST_LOG = 10 * 2**20
"""Bytes; a longer log is set aside when a server is started."""
SHOWN = 15
"""Lines of the log that are shown when a server died."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server of this host, as its server.json says."""

    pid: int
    url: str


@dataclass(frozen=True)
class LocalServer:
    """The one server of a home."""

    settings: Settings

    @property
    def log(self) -> Path:
        """What a server that `up` started writes."""
        return self.settings.home / "server.log"

    def running(self) -> Running | None:
        """The server that says it is ready, if its process is there and really is one."""
        try:
            said = json.loads((self.settings.home / "server.json").read_text())
            running = Running(int(said["pid"]), str(said["url"]).rstrip("/"))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return running if MODULE in _command_line(running.pid) else None

    def url(self) -> str:
        """Where it answers, or would."""
        if (running := self.running()) is not None:
            return running.url
        host = self.settings.host
        if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound: it listens on loopback too
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    def token(self) -> str | None:
        """Its own token, for those who may read it."""
        try:
            return (self.settings.home / "token").read_text().strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def used(self) -> bool:
        """Whether a server ever ran here: then services of it may run without it."""
        try:
            return any(self.settings.home.iterdir())
        except OSError:
            return False

    async def ready(self) -> bool:
        """Whether it answers, and can work."""
        return await _ready(self.url())

    async def start(self, tell: Callable[[str], None]) -> Starting:
        """Start it and wait until it is ready, or another one of the same home is.

        `tell` hears again and again what it wrote last. Raises ServerUnreachable with the end of its
        log, SettingsError.
        """
        _make(self.settings.home)
        starting = _launch(self)
        try:
            async with asyncio.timeout(STARTING):
                while starting.ours:
                    running = self.running()
                    if running and running.pid == starting.process.pid and await _ready(running.url):
                        return starting
                    tell(starting.tail().rpartition("\n")[2])
                    await asyncio.sleep(PAUSE)
            if await self._another():
                return starting
            raise starting.died()
        except TimeoutError:
            await starting.end()
            raise ServerUnreachable(
                f"the server was not ready within {STARTING:.0f} s",
                evidence=starting.tail(),
                remedy=f"See {self.log}.",
            ) from None
        except asyncio.CancelledError:
            await starting.end()
            raise

    async def _another(self) -> bool:
        """Whether another `up` was quicker: one home has one server."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STARTING):
                while (running := self.running()) is not None:
                    if await _ready(running.url):
                        return True
                    await asyncio.sleep(PAUSE)
        return False

    async def stop(self) -> bool:
        """End it in an orderly way; services go on. False if none runs. Raises ServerUnreachable."""
        running = self.running()
        if running is None:
            return False
        try:
            os.kill(running.pid, SIGTERM)
        except ProcessLookupError:
            return True
        except PermissionError as error:
            raise ServerUnreachable(
                f"the server (process {running.pid}) is another user's and cannot be stopped",
                remedy="Stop it as that user.",
            ) from error
        until = time.monotonic() + ENDING
        while MODULE in _command_line(running.pid):
            if time.monotonic() > until:
                raise _stuck(running.pid, self.log)
            await asyncio.sleep(PAUSE)
        return True


@dataclass(frozen=True)
class Starting:
    """A server that this process started."""

    server: LocalServer
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
            with self.server.log.open("rb") as log:
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
            remedy=f"Put right what it complains of; see {self.server.log}.",
        )

    async def end(self, *, wait: bool = True) -> None:
        """Tell it to end; services go on. Raises ServerUnreachable when it does not."""
        if not self.ours:
            return
        self.process.terminate()
        until = time.monotonic() + ENDING
        while wait and self.ours:
            if time.monotonic() > until:
                raise _stuck(self.process.pid, self.server.log)
            await asyncio.sleep(PAUSE)


def _stuck(pid: int, log: Path) -> ServerUnreachable:
    return ServerUnreachable(
        f"the server (process {pid}) has not ended within {ENDING:.0f} s",
        remedy=f"See {log}; end it with `kill -9 {pid}` if need be.",
    )


def _launch(server: LocalServer) -> Starting:
    log = server.log
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
            cwd=server.settings.home,
            env={**os.environ, "DEPLOYD_HOME": str(server.settings.home)},
            start_new_session=True,  # a terminal's Ctrl-C is for us: we tell it when to end
        )
    finally:
        os.close(descriptor)
    return Starting(server, process, said_before)


async def _ready(url: str) -> bool:
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"{url}/readyz") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False


def _command_line(pid: int) -> str:
    """Empty for a process that is not there, or only waits to be collected."""
    proc = Path("/proc/self/cmdline")
    if proc.exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    seen = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return seen.stdout


def _make(home: Path) -> None:
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
