"""A home and a source tree for the process driver, and the words in which its tests speak."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from deployd.drivers.api import (
    Done,
    DriverContext,
    InstanceStatus,
    LogLine,
    Progress,
    ReleaseSpec,
    ServiceRef,
    Wait,
)
from deployd.drivers.process.driver import ProcessDeployer
from deployd.drivers.process.driver import create as create_process
from deployd.drivers.process.instance import read_start, read_status
from deployd.drivers.process.shim.kernel import birth, end_group
from deployd.model.spec import ServiceSpec
from tests.conftest import scratch

PYTHON = "/usr/bin/python3"
PATIENCE = 30.0
"""Seconds, on a machine with other work to do."""


def new_service() -> ServiceRef:
    return ServiceRef(world_id=7, world="local", service_id=uuid4(), service="cart")


@dataclass
class Place:
    """One driver's home beside one source tree."""

    root: Path
    service: ServiceRef = field(default_factory=new_service)
    numbers: int = 0

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    def driver(self, **config: object) -> ProcessDeployer:
        """A new one each time: it keeps nothing in memory."""
        made = create_process({"grace_seconds": 1, **config}, DriverContext(self.home, "here"))
        assert isinstance(made, ProcessDeployer)
        return made

    def write(self, name: str, text: str) -> Path:
        file = self.tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def release(self, run: str | None = None, **spec: Any) -> ReleaseSpec:
        self.numbers += 1
        made = ServiceSpec(name="cart", run=run, **spec)
        return ReleaseSpec(uuid4(), self.numbers, made, tree=self.tree, env=made.env)

    def python(self, program: str, **spec: Any) -> ReleaseSpec:
        """A release that runs this Python text."""
        self.write(f"program{self.numbers}.py", program)
        return self.release(f"{PYTHON} program{self.numbers}.py", **spec)

    def folder(self, release: ReleaseSpec) -> Path:
        return self.home / "7" / str(self.service.service_id) / str(release.release_id)

    async def apply(self, release: ReleaseSpec, *, alone: bool = True) -> Done:
        return await finish(lambda: self.driver().apply(self.service, release, alone=alone))

    async def destroy(self, release_id: UUID | None = None) -> Done:
        return await finish(lambda: self.driver().destroy(self.service, release_id))

    async def see(self, release: ReleaseSpec) -> InstanceStatus | None:
        return (await self.driver().observe(self.service)).of(release.release_id)

    async def until(
        self, release: ReleaseSpec, wanted: Callable[[InstanceStatus], object], seconds: float = PATIENCE
    ) -> InstanceStatus:
        """Observe until it is so."""
        end = time.monotonic() + seconds
        while True:
            seen = await self.see(release)
            if seen is not None and wanted(seen):
                return seen
            assert time.monotonic() < end, f"still {seen}"
            await asyncio.sleep(0.02)

    async def logged(self, wanted: str, stream: str = "stdout", seconds: float = PATIENCE) -> LogLine:
        """The first line that holds this text, when it comes."""
        end = time.monotonic() + seconds
        while True:
            page = await self.driver().read_logs(self.service, None, 1000)
            found = [line for line in page.lines if wanted in line.text and line.stream == stream]
            if found:
                return found[0]
            assert time.monotonic() < end, f"only {[line.text for line in page.lines]}"
            await asyncio.sleep(0.02)

    def shim(self, release: ReleaseSpec) -> int:
        return read_status(self.folder(release)).shim

    def clear(self) -> None:
        """Kill every supervisor, which takes its program along; then what these left in their groups."""
        for folder in [file.parent for file in self.home.glob("*/*/*/status.json")]:
            status = read_status(folder)
            if status.shim and birth(status.shim) == status.shim_birth:
                with suppress(ProcessLookupError):  # it ended just now
                    os.kill(status.shim, signal.SIGKILL)
                gone(status.shim, status.shim_birth)
            start, status = read_start(folder), read_status(folder)  # the last program, from here on
            if start is not None and status.pid:
                assert end_group(status.pid, status.birth, start.uid, PATIENCE)
        shutil.rmtree(self.root)


async def finish(call: Callable[[], Any], seconds: float = PATIENCE) -> Done:
    """Ask again until it is done, as an engine does."""
    end = time.monotonic() + seconds
    while True:
        progress: Progress = await call()
        if isinstance(progress, Done):
            return progress
        assert isinstance(progress, Wait), progress
        assert time.monotonic() < end, progress
        await asyncio.sleep(min(progress.seconds, 0.05))


def gone(pid: int, born: str | None, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while birth(pid) is not None and birth(pid) == born:
        assert time.monotonic() < end, f"process {pid} still lives"
        time.sleep(0.005)


def processes(token: str) -> list[int]:
    """Those whose command line or environment holds this text, zombies left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            except OSError:
                continue
            if token.encode() in text and birth(int(folder.name)) is not None:
                found.append(int(folder.name))
    return found


def started(token: str, seconds: float = PATIENCE) -> list[int]:
    """The same once there are any: a supervisor that was adopted may be just about to start its program."""
    end = time.monotonic() + seconds
    while not (found := processes(token)) and time.monotonic() < end:
        time.sleep(0.01)
    return found


@contextmanager
def place(prefix: str = "deployd-test-") -> Iterator[Place]:
    """Not below pytest's folders, which other users cannot enter."""
    root = scratch(prefix)
    made = Place(root)
    made.tree.mkdir(mode=0o755)
    made.tree.chmod(0o755)
    try:
        yield made
    finally:
        made.clear()
