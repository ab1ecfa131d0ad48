"""The proxy's process: one for each home, in the background, until no service is routed any more.

HOME/lock          held for its life; its process id is in it
HOME/routes/       the table
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
import sys
import time
from pathlib import Path

from .gateway import Gateway
from .table import Table
from .wire import accept

__all__ = ["ALREADY", "TAKEN", "main"]

ALREADY, TAKEN = 3, 4
"""Exit codes of a start that started nothing: another one runs; the port cannot be had."""
HOST = "127.0.0.1"
BACKLOG = 1024
LOOK = 1.0
EMPTY = 3.0
"""Seconds without any target after which it ends."""


def main(home: Path, port: int) -> int:
    """Take lock and port, then go on in the background. Answers 0 once connections are accepted."""
    os.umask(0o077)
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY
    os.ftruncate(lock, 0)
    os.chdir(home)  # so that the socket's path is short
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as error:
        sys.stderr.write(error.strerror or str(error))
        return TAKEN
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
    asyncio.run(_serve(home, port, listener, control))
    return 0


async def _serve(home: Path, port: int, listener: socket.socket, control: socket.socket) -> None:
    table = Table(home / "routes")
    table.load()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            table.load()
            known = {"pid": os.getpid(), "port": port, "busy": table.busy(str(asked.get("service")))}
            if asked["ask"] == "end":
                ended.set()
            writer.write(json.dumps(known).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError, KeyError):
            pass  # whoever asked is gone, or is not ours
        finally:
            writer.close()

    server = await loop.create_server(accept(Gateway(table).serve), sock=listener, backlog=BACKLOG)
    steering = await asyncio.start_unix_server(answer, sock=control)
    served = time.monotonic()
    while not ended.is_set() and time.monotonic() - served < EMPTY:
        try:
            await asyncio.wait_for(ended.wait(), LOOK)
        except TimeoutError:
            table.load()
        if table.serves or table.is_busy:
            served = time.monotonic()
    steering.close()
    server.close()
