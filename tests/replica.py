"""Replicas: processes with an engine each on one database; a stand-in driver records every call."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from deployd.drivers.api import Observation, Plan, Progress, ReleaseSpec, ServiceRef
from deployd.engine.acts import ACTS, ANSWERS
from deployd.engine.bus import Bus
from deployd.engine.committer import Committer
from deployd.engine.context import Driver
from deployd.engine.worker import Worker
from deployd.store.database import Database
from deployd.telemetry.subject import ACTING
from tests.house import context
from tests.nursery import serve
from tests.standin import Folder, StandinDeployer

_CALL = 0.1  # seconds that each call takes at least

T = TypeVar("T")


class RecordingDeployer(StandinDeployer):
    """Writes down when each call begins and ends, by which process and for which machine and fence.

    Moments are of the clock that all processes of the host share.
    """

    def __init__(self, folder: Folder) -> None:
        super().__init__(folder)
        self._calls = os.open(folder.root / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._number = 0
        self.checked = 0.0
        """When the lease of the machine that is acted upon was looked at last."""

    def _note(self, what: str, number: int, at: float) -> None:
        acting = ACTING.get()
        assert acting is not None
        machine = acting()
        assert machine is not None
        words = (what, os.getpid(), number, machine.id, machine.fence, machine.state, at)
        os.write(self._calls, (" ".join(map(str, words)) + "\n").encode())

    def noting(self, check: Callable[[], None]) -> Callable[[], None]:
        """The check, of which the moment is kept; nothing is awaited between it and the call."""

        def checked() -> None:
            self.checked = time.monotonic()
            check()

        return checked

    async def _recorded(self, call: asyncio.Future[T]) -> T:
        self._number += 1
        number = self._number
        # A replica that stood still since then is not told to have begun when it went on.
        self._note("begin", number, self.checked)
        try:
            await asyncio.sleep(_CALL)
            return await call
        finally:
            self._note("end", number, time.monotonic())

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        return await super().plan(service, release)

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        if not _takes_a_turn():
            return await super().apply(service, release, alone=alone)
        return await self._recorded(super().apply(service, release, alone=alone))  # type: ignore[arg-type]

    async def observe(self, service: ServiceRef) -> Observation:
        if not _takes_a_turn():
            return await super().observe(service)
        return await self._recorded(super().observe(service))  # type: ignore[arg-type]


def _takes_a_turn() -> bool:
    """Not a service that is watched over."""
    acting = ACTING.get()
    machine = None if acting is None else acting()
    return machine is not None and machine.kind == "deployment"


async def live(dsn: str, home: str, placements: list[str], lease: float, capacity: int) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    folder = Folder(Path(home) / "outside")
    deployer = RecordingDeployer(folder)

    def driver(name: str, config: Mapping[str, object]) -> Driver:
        return deployer

    async with Database(dsn, size=4) as db:
        ctx = context(db, Path(home), folder, f"host-{os.getpid()}")
        ctx.driver = driver
        bus = Bus(db)
        committer = Committer(db, bus.committed)
        async with bus.running():
            task = asyncio.create_task(committer.run())
            length = timedelta(seconds=lease)
            worker = Worker(
                *(ctx, committer, bus, ACTS, ANSWERS),
                placements=placements,
                lease=length,
                capacity=capacity,
            )
            ctx.check = deployer.noting(ctx.check)
            async with worker:
                await stop.wait()
            committer.stop()
            await task


if __name__ == "__main__":
    serve(live, waits=False)
