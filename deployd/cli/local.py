"""The server of this host: whether it runs, where it answers, how it is started and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from deployd.cli.exits import ServerUnreachable
from deployd.cli.starting import ENDING, MODULE, Starting, launch, make_home, stuck
from deployd.settings import Settings

__all__ = ["LocalServer", "Running"]

STARTING = 60.0
"""Seconds within which a server that was started has to be ready."""
PAUSE = 0.05


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
        make_home(self.settings.home)
        starting = launch(self.settings.home, self.log)
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
                raise stuck(running.pid, self.log)
            await asyncio.sleep(PAUSE)
        return True


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
