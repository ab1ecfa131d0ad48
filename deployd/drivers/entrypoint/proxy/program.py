"""The proxy's process: one for each home, in the background, until no service is routed any more.

HOME/lock          held for its life; its process id is in it
HOME/routes/       the table, which says too where the proxy listens
HOME/control.sock  one JSON line asks, one answers: {"ask": "state", "service"} or {"ask": "end"}
HOME/errors        what it could not say otherwise
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import socket
import time
from pathlib import Path

from .listeners import BACKLOG, Listeners
from .table import Table

__all__ = ["ALREADY", "SPEAKS", "main"]

ALREADY = 3
"""Exit code of a start that started nothing: another one runs."""
SPEAKS = 2
"""The version of the records and of the control socket; deployd replaces a proxy of another one."""
LOOK = 1.0
EMPTY = 3.0
"""Seconds without any target after which it ends."""


def main(home: Path, host: str, port: int) -> int:
    """Take the lock, then go on in the background. Answers 0 once it can be asked.

    Ways in that do not say where are open at this host and port; with port 0 they are not.
    """
    os.umask(0o077)
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY
    os.ftruncate(lock, 0)
    os.chdir(home)  # so that the socket's path is short
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path("control.sock").unlink(missing_ok=True)
    control.bind("control.sock")
    control.listen(BACKLOG)
    child = os.fork()
    if child:
        os.pwrite(lock, f"{child}\n".encode(), 0)
        return 0
    errors = os.open("errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd, target in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(fd, target)
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(home, (host, port), control))
    return 0


async def _serve(home: Path, entry: tuple[str, int], control: socket.socket) -> None:
    table = Table(home / "routes", entry)
    table.load()
    listeners = Listeners(table)
    await listeners.keep()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            table.load()
            await listeners.keep()
            known = {
                "pid": os.getpid(),
                "speaks": SPEAKS,
                "failed": listeners.failed,
                "busy": table.busy(str(asked.get("service"))),
            }
            if asked["ask"] == "end":
                ended.set()
            writer.write(json.dumps(known).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError, KeyError):
            pass  # whoever asked is gone, or is not ours
        finally:
            writer.close()

    steering = await asyncio.start_unix_server(answer, sock=control)
    served = time.monotonic()
    while not ended.is_set() and time.monotonic() - served < EMPTY:
        try:
            async with asyncio.timeout(LOOK):
                await ended.wait()
        except TimeoutError:
            table.load()
            await listeners.keep()
        if table.serves or table.is_busy:
            served = time.monotonic()
    steering.close()
    listeners.close()
