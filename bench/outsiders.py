"""Programs of others, as children of a bench; and ports for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.processes import below

__all__ = ["Outsider", "free_port", "listening", "started"]

ENDING = 30.0
"""Seconds that a program has to end once it was told to."""
STARTING = 30.0


@dataclass(frozen=True, slots=True)
class Outsider:
    """One that runs."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pids(self) -> set[int]:
        """Its own, and those of its children and theirs."""
        return {self.process.pid, *below([self.process.pid])}

    def check(self) -> None:
        """Raises RuntimeError with what it wrote when it has ended by itself."""
        if self.process.returncode is not None:
            said = self.log.read_text(errors="replace")[-4000:]
            raise RuntimeError(f"a program ended with status {self.process.returncode}:\n{said}")


@asynccontextmanager
async def started(
    argv: Sequence[str], folder: Path, environ: Mapping[str, str], log: Path
) -> AsyncIterator[Outsider]:
    """Run it in a folder. Afterwards it is told to end; what it leaves behind is killed."""
    with log.open("w") as file:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    outsider = Outsider(process, log)
    try:
        yield outsider
    finally:
        children = below([process.pid])
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), ENDING)
            except TimeoutError:
                process.kill()
                await process.wait()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def listening(port: int, outsider: Outsider) -> None:
    """Wait until it accepts connections. Raises RuntimeError when it ends instead, TimeoutError."""
    async with asyncio.timeout(STARTING):
        while True:
            outsider.check()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
