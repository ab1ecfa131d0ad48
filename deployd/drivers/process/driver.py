"""The deployer of processes. It keeps nothing in memory: a new one finds everything in its home."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from deployd.drivers.api import (
    Deployer,
    Done,
    DriverContext,
    Failed,
    InstanceStatus,
    LogPage,
    Observation,
    Plan,
    Progress,
    ReleaseSpec,
    ServiceRef,
    Supports,
    Wait,
)
from deployd.drivers.process.accounts import FIRST, as_whom
from deployd.drivers.process.client import Client, Instance
from deployd.drivers.process.config import Config, read_config
from deployd.drivers.process.health import address, judge
from deployd.drivers.process.hints import hints
from deployd.drivers.process.logs import read_page
from deployd.drivers.process.prepare import prepare
from deployd.drivers.process.probe import ask, listens_on
from deployd.errors import Denied, Retryable
from deployd.model.state import Health

__all__ = ["ProcessDeployer", "create"]

T = TypeVar("T")
ROLLOUTS = frozenset({"rolling", "blue-green", "canary", "recreate"})
PROMPT = 0.4
"""Seconds that a call waits for processes to end before it answers Wait: most end at once."""


def create(config: Mapping[str, object], context: DriverContext) -> Deployer:
    """The entry point. Raises InputError for settings that are wrong."""
    return ProcessDeployer(read_config(config), context)


class ProcessDeployer:
    """A Deployer that also offers Watch and Logs."""

    supports = Supports(runs="tree", max_scale=1, rollouts=ROLLOUTS, bound_to_host=True)

    def __init__(self, config: Config, context: DriverContext) -> None:
        self.config = config
        self.client = Client(context.home.absolute())

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        """What would be started; refusals name file and line where a Dockerfile is to blame."""
        user = FIRST if as_whom() else None  # any number of that range has the same rights
        prepared = await _blocking(
            lambda: prepare(service, release, self.config, user, self.client.own_home(service))
        )
        if prepared.start is None:
            return Plan(refusals=prepared.refusals)
        action = f"start process `{prepared.start.text}` in {prepared.start.cwd}"
        return Plan(actions=(action,), notes=prepared.notes)

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        """Adopt or start the release's supervisor; when `alone`, then end the other releases."""
        running = next(
            (one for one in await self._instances(service) if one.release_id == release.release_id), None
        )
        if running is None or not running.alive or running.stopping:
            if release.missing is not None:
                return Failed(release.missing)
            user = await _blocking(lambda: self.client.user_of(service))
            home = self.client.own_home(service)
            prepared = await _blocking(lambda: prepare(service, release, self.config, user, home))
            start = prepared.start
            if start is None:
                return Failed(prepared.refusals[0])
            first, last = self.config.first_port, self.config.last_port
            if not await _blocking(lambda: self.client.run(service, release.release_id, start, first, last)):
                return Wait(0.5, f"{start.name} is still ending before it can start again")
        if alone and (wait := await self._end(service, None, keep=release.release_id)):
            return wait
        running = next(
            (one for one in await self._instances(service) if one.release_id == release.release_id), None
        )
        url = address(running.start) if running else None
        return Done({"url": url} if url else {})

    async def observe(self, service: ServiceRef) -> Observation:
        """Each instance that is wanted, asked now. Stopped ones are not there."""
        found = await self._instances(service)
        wanted = [one for one in found if one.alive or not one.stopping]
        return Observation(tuple(await asyncio.gather(*(self._look_at(one) for one in wanted))))

    async def destroy(self, service: ServiceRef, release_id: UUID | None = None) -> Progress:
        """End one release or all. Folders with their logs stay, the newest few."""
        return await self._end(service, release_id) or Done()

    def watch(self) -> AsyncGenerator[tuple[int, UUID], None]:
        """What supervisors say, while this process is the one that listens."""
        return hints(self.client.home)

    async def read_logs(self, service: ServiceRef, after: str | None, limit: int) -> LogPage:
        """Lines of all the service's releases that are kept."""
        found = await self._instances(service)
        where = {str(one.release_id): (one.start.name, one.folder / "logs") for one in found}
        return await _blocking(lambda: read_page(where, after, limit))

    async def _instances(self, service: ServiceRef) -> list[Instance]:
        return await _blocking(lambda: self.client.instances(service))

    async def _end(
        self, service: ServiceRef, release_id: UUID | None, keep: UUID | None = None
    ) -> Wait | None:
        """Ask to end, and look for a moment whether it did; None when nothing is left."""
        until = time.monotonic() + PROMPT
        while left := await _blocking(lambda: self.client.stop(service, release_id, keep)):
            if time.monotonic() > until:
                names = ", ".join(one.start.name for one in left)
                return Wait(0.5, f"{names}: within its grace period of {left[0].start.grace_seconds:g} s")
            await asyncio.sleep(0.02)
        return None

    async def _look_at(self, instance: Instance) -> InstanceStatus:
        start, status = instance.start, instance.status
        answer = None
        listening: tuple[int, ...] = ()
        if instance.alive and status.state == "running" and start.ports:
            answer = await ask(next(iter(start.ports.values())), start.health)
            if answer.refused:
                listening = await asyncio.to_thread(listens_on, status.pid)
        seen = judge(instance, answer, listening, time.time())
        if seen.health is Health.HEALTHY and not instance.was_healthy:
            await _blocking(lambda: self.client.note_healthy(instance))
        return seen


async def _blocking(work: Callable[[], T]) -> T:
    """Run what touches files in a thread, its errors in deployd's words."""

    def translated() -> T:
        with _translate():
            return work()

    return await asyncio.to_thread(translated)


@contextmanager
def _translate() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        remedy = "Let deployd's user own its data folder."
        raise Denied(
            f"deployd may not do this to {error.filename}: {error.strerror}", remedy=remedy
        ) from error
    except OSError as error:
        raise Retryable(
            f"this machine could not do it: {error}", remedy="Look at its disk and limits."
        ) from error
