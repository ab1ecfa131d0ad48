"""A folder that a bench has to itself, for as long as it measures."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

__all__ = ["scratch"]


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """Below /tmp, gone when the context ends; SIGTERM ends the bench in order as well."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    folder = Path(tempfile.mkdtemp(prefix="deployd-bench-", dir="/tmp"))
    folder.chmod(0o711)  # as root, what is started runs as another user, who has to pass through
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
