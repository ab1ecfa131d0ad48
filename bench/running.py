"""A deployd server as people run it, in a home of its own, with so many services deployed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import below, mentioning
from deployd.cli.client import Client

__all__ = ["PATIENCE", "Running", "deployd", "serving"]

SERVICE = """\
  sleeper-{number}:
    run: python3 -m http.server --bind 127.0.0.1 $PORT
    port: {port}
    health: /
"""
"""Tiny, but asked for its health like any other."""
PATIENCE = 120.0


class Running:
    """The processes of one server."""

    def __init__(self, home: Path, pid: int, environ: Mapping[str, str]) -> None:
        self.home, self.pid, self._environ = home, pid, dict(environ)

    def shims(self) -> list[int]:
        """Supervisors, one for each instance of a service."""
        return [pid for pid in mentioning(str(self.home)) if pid != self.pid]

    def programs(self) -> list[int]:
        """What the services consist of: the user's own."""
        return below(self.shims())

    def everything(self) -> set[int]:
        """The server, what it started, and what goes on without it; the services' programs too."""
        outlasting = self.shims()
        return {self.pid, *below([self.pid]), *outlasting, *below(outlasting)}

    def entrypoint(self) -> int:
        """The process behind the local addresses; there is one while a service has an address."""
        return int((self.home / "drivers" / "route-local" / "lock").read_text())

    def client(self) -> Client:
        """A connection to its API, as the command line has it."""
        said = json.loads((self.home / "server.json").read_text())
        return Client(str(said["url"]), (self.home / "token").read_text().strip())

    def command(self, *arguments: str) -> tuple[str, ...]:
        """How a verb of the command line is started; needs `environ`."""
        return (sys.executable, "-m", "deployd.cli.main", *arguments)

    @property
    def environ(self) -> dict[str, str]:
        """By which the command line finds this server."""
        return dict(self._environ)

    async def run(self, *arguments: str) -> None:
        """Run a verb of the command line. Raises RuntimeError with what it said when it failed."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        if process.returncode:
            raise RuntimeError(f"deployd {' '.join(arguments)}:\n{said.decode(errors='replace')[-4000:]}")


@asynccontextmanager
async def serving(home: Path, **settings: str) -> AsyncIterator[Running]:
    """Answering, with no service yet; `settings` are its variables without DEPLOYD_.

    Afterwards its services are stopped, and so is the server.
    """
    home.mkdir(mode=0o711)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOYD_")}
    environ |= {f"DEPLOYD_{name}": value for name, value in settings.items()}
    environ |= {"DEPLOYD_HOME": str(home), "DEPLOYD_PORT": "0"}
    with (home / "server.log").open("w") as log:
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deployd.app"), env=environ, stdout=log, stderr=log
        )
    try:
        await _until_it_answers(home, server)
        running = Running(home, server.pid, environ)
        try:
            yield running
        finally:
            await running.run("down")
            await asyncio.wait_for(server.wait(), PATIENCE)
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


@asynccontextmanager
async def deployd(home: Path, dsn: str, services: int) -> AsyncIterator[Running]:
    """Serving, with its services healthy. Afterwards they are stopped, and so is the server."""
    async with serving(home, DATABASE_URL=dsn) as running:
        if services:
            await running.run("deploy", str(_project(home, services)))
        yield running


async def _until_it_answers(home: Path, server: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE):
        while not (home / "server.json").exists():
            if server.returncode is not None:
                raise RuntimeError(f"the server ended:\n{(home / 'server.log').read_text()[-4000:]}")
            await asyncio.sleep(0.05)


def _project(home: Path, services: int) -> Path:
    folder = home / "project"
    folder.mkdir()
    described = [SERVICE.format(number=number, port=8000 + number) for number in range(services)]
    (folder / "deployd.yaml").write_text("deployd: 1\nservices:\n" + "".join(described))
    return folder
