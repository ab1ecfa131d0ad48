"""The socket on which supervisors say that something changed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

from deployd.drivers.detached import short_path

__all__ = ["hints"]

RETRY = 0.5
"""Seconds between looks at whether another process still listens."""


async def hints(home: Path) -> AsyncGenerator[tuple[int, UUID], None]:
    """(world_id, service_id) as they come. One listener per home; a second one waits for its turn."""
    await asyncio.to_thread(home.mkdir, mode=0o711, parents=True, exist_ok=True)
    lock = os.open(home / "hints.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(RETRY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.setblocking(False)
            path = home / "hints.sock"
            path.unlink(missing_ok=True)
            with short_path(path) as reachable:
                listener.bind(reachable)
            path.chmod(0o600)
            try:
                # Closed here: the loop has to forget the socket before its number is somebody else's.
                async with aclosing(_received(listener)) as received:
                    async for hint in received:
                        yield hint
            finally:
                path.unlink(missing_ok=True)
    finally:
        os.close(lock)


async def _received(listener: socket.socket) -> AsyncGenerator[tuple[int, UUID], None]:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(listener, there.set)
    try:
        while True:
            await there.wait()
            there.clear()
            while True:
                try:
                    world, _, service = listener.recv(256).decode().partition(" ")
                    yield int(world), UUID(service)
                except BlockingIOError:
                    break
                except ValueError:
                    continue  # no hint of ours
    finally:
        loop.remove_reader(listener)
