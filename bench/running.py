"""A deployd server as people run it, in a home of its own, with so many services deployed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import below, mentioning

__all__ = ["Running", "deployd"]

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

    def __init__(self, home: Path, pid: int) -> None:
        self._home, self.pid = home, pid

    def shims(self) -> list[int]:
        """Supervisors, one for each instance of a service."""
        return [pid for pid in mentioning(str(self._home)) if pid != self.pid]

    def programs(self) -> list[int]:
        """What the services consist of: the user's own."""
        return below(self.shims())


@asynccontextmanager
async def deployd(home: Path, dsn: str, services: int) -> AsyncIterator[Running]:
    """Serving, with its services healthy. Afterwards they are stopped, and so is the server."""
    home.mkdir(mode=0o711)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOYD_")}
    environ |= {"DEPLOYD_HOME": str(home), "DEPLOYD_DATABASE_URL": dsn, "DEPLOYD_PORT": "0"}
    with (home / "server.log").open("w") as log:
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deployd.app"), env=environ, stdout=log, stderr=log
        )
    try:
        await _until_it_answers(home, server)
        if services:
            await _cli(environ, "deploy", str(_project(home, services)))
        try:
            yield Running(home, server.pid)
        finally:
            await _cli(environ, "down")
            await asyncio.wait_for(server.wait(), PATIENCE)
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


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


async def _cli(environ: dict[str, str], *arguments: str) -> None:
    """Run a verb of the command line. Raises RuntimeError with what it said when it failed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deployd.cli.main", *arguments),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    if process.returncode:
        raise RuntimeError(f"deployd {' '.join(arguments)}:\n{said.decode(errors='replace')[-4000:]}")
