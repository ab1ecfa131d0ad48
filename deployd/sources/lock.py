"""Locks on files, for one alone or many at once; the kernel lets go of them with the last who holds them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deployd.errors import Retryable

__all__ = ["locked"]

PAUSE = 0.05
"""Seconds between two tries."""


@asynccontextmanager
async def locked(path: Path, seconds: float, what: str, *, shared: bool = False) -> AsyncIterator[int]:
    """The lock on `path`, held until the end of the context; its descriptor, for children to hold it too.

    Tasks of one process exclude each other as well. `shared`: it excludes only those who want it alone.
    Raises Retryable when others hold it for `seconds`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise Retryable(
                        f"{what} has been busy for {seconds:g} seconds.",
                        remedy=f"It is tried again. `fuser {path}` tells which process works at it.",
                    ) from error
            await asyncio.sleep(PAUSE)
        yield descriptor
    finally:
        os.close(descriptor)
