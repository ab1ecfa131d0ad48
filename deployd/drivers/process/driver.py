"""The deployer of processes. It keeps nothing in memory: a new one finds everything in its home."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
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
    TaskSpec,
    Wait,
)
from deployd.drivers.process.accounts import FIRST, as_whom
from deployd.drivers.process.clearing import clear
from deployd.drivers.process.client import Client, Instance
from deployd.drivers.process.config import Config, read_config
from deployd.drivers.process.environments import Environments
from deployd.drivers.process.health import address, judge
from deployd.drivers.process.hints import hints
from deployd.drivers.process.instance import Start
from deployd.drivers.process.leftover import examine
from deployd.drivers.process.logs import read_page
from deployd.drivers.process.packages import describe
from deployd.drivers.process.prepare import Prepared, prepare
from deployd.drivers.process.probe import ask, listens_on
from deployd.drivers.process.tasks import TaskFolders, judge_task
from deployd.errors import Denied, Retryable
from deployd.model.finding import Finding
from deployd.model.state import Health

__all__ = ["ProcessDeployer", "create"]

T = TypeVar("T")
ROLLOUTS = frozenset({"rolling", "blue-green", "canary", "recreate"})
PROMPT = 1.0
"""Seconds that a call waits for processes to end before it answers Wait: most end at once, or look twice
a second whether they shall (Python's http.server)."""
PAUSE, LONGEST_PAUSE = 0.02, 0.1
"""Seconds between two looks meanwhile, the first and the longest."""
BEGINNING = 0.5
"""Seconds within which a program need not listen yet: nobody looks through /proc where else it does."""


def create(config: Mapping[str, object], context: DriverContext) -> Deployer:
    """The entry point. Raises InputError for settings that are wrong."""
    return ProcessDeployer(read_config(config), context)


class ProcessDeployer:
    """A Deployer that also offers Tasks, Builds, Watch, Logs and Examines."""

    supports = Supports(runs="tree", max_scale=1, rollouts=ROLLOUTS, bound_to_host=True, tasks=True)

    def __init__(self, config: Config, context: DriverContext) -> None:
        self.config = config
        self.client = Client(context.home.absolute())
        self.tasks = TaskFolders(self.client)
        self.environments = Environments(self.client)

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        """What would be started; refusals name file and line where a Dockerfile is to blame."""
        user = FIRST if as_whom() else None  # any number of that range has the same rights
        spec = release.spec
        prepared = await self._prepare(service, release, user)
        if prepared.start is None:
            return Plan(refusals=prepared.refusals)
        actions = [f"start process `{prepared.start.text}` in {prepared.start.cwd}"]
        if spec.schedule is not None:
            actions = [f"run `{prepared.start.text}` in {prepared.start.cwd} at `{spec.schedule}` (UTC)"]
        if spec.before is not None:
            before = TaskSpec(release.release_id, "before", spec.before.run, spec.before.timeout)
            first = await self._prepare(service, release, user, before)
            if first.start is None:
                return Plan(refusals=first.refusals)
            actions.insert(0, f"run `{first.start.text}` once before")
        if prepared.environment is not None:
            actions.insert(0, f"install packages of {describe(prepared.environment.installs)}")
        return Plan(actions=tuple(actions), notes=prepared.notes)

    async def build(self, service: ServiceRef, release: ReleaseSpec) -> Progress:
        """Install the packages that the Dockerfile names, unless that was done for any release before."""
        made = await self._start_of(service, release, await self._user(service))
        return Done() if isinstance(made, Start) else made

    async def run_task(self, service: ServiceRef, release: ReleaseSpec, task: TaskSpec) -> Progress:
        """Adopt or start the task's supervisor, and see for a moment whether it is done."""
        found = await _blocking(lambda: self.tasks.find(service, task.task_id))
        if found is None or not (found.alive or found.ended or found.stopping):
            if release.missing is not None:
                return Failed(release.missing)
            user = await _blocking(lambda: self.client.make_home(service))
            made = await self._start_of(service, release, user, task)
            if not isinstance(made, Start):
                return made
            start = replace(made, uid=user)
            found = await _blocking(lambda: self.tasks.run(service, task.task_id, start))
        for pause in _pauses():
            if found is None or found.ended:
                break
            await asyncio.sleep(pause)
            found = await _blocking(lambda: self.tasks.find(service, task.task_id))
        return Wait(0.5) if found is None else judge_task(found)

    async def end_task(self, service: ServiceRef, task_id: UUID) -> Progress:
        """Ask it to end, and see for a moment whether it did."""
        pauses = _pauses()
        while left := await _blocking(lambda: self.tasks.end(service, task_id)):
            if (pause := next(pauses, None)) is None:
                return Wait(
                    0.5, f"{left.start.name}: within its grace period of {left.start.grace_seconds:g} s"
                )
            await asyncio.sleep(pause)
        return Done()

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        """Adopt or start the release's supervisor; when `alone`, then end the other releases."""
        running = next(
            (one for one in await self._instances(service) if one.release_id == release.release_id), None
        )
        if running is None or not running.alive or running.stopping:
            if release.missing is not None:
                return Failed(release.missing)
            start = await self._start_of(service, release, await self._user(service))
            if not isinstance(start, Start):
                return start
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
        """Lines of all the service's releases and tasks that are kept."""
        found = await self._instances(service)
        found += await _blocking(lambda: [*self.tasks.list(service), *self.environments.logs(service)])
        where = {str(one.release_id): (one.start.name, one.folder / "logs") for one in found}
        return await _blocking(lambda: read_page(where, after, limit))

    async def examine(self, services: Collection[UUID]) -> Sequence[Finding]:
        """Processes that nobody knows, and the room for logs."""
        return await _blocking(lambda: examine(self.client.home, services))

    async def clear(
        self, services: Collection[UUID], age: timedelta, *, dry_run: bool = False
    ) -> Mapping[str, int]:
        """Folders of services that ended, with their logs, and environments that nobody has."""
        return await _blocking(lambda: clear(self.client, self.environments, services, age, dry_run=dry_run))

    async def _user(self, service: ServiceRef) -> int | None:
        return await _blocking(lambda: self.client.user_of(service))

    async def _prepare(
        self, service: ServiceRef, release: ReleaseSpec, user: int | None, task: TaskSpec | None = None
    ) -> Prepared:
        home, environments = self.client.own_home(service), self.environments.folder
        return await _blocking(lambda: prepare(service, release, self.config, user, home, environments, task))

    async def _start_of(
        self, service: ServiceRef, release: ReleaseSpec, user: int | None, task: TaskSpec | None = None
    ) -> Start | Wait | Failed:
        """What to start, once its packages are there and its program is found among them."""
        while True:
            prepared = await self._prepare(service, release, user, task)
            if prepared.start is None:
                return Failed(prepared.refusals[0])
            start, environment = prepared.start, prepared.environment
            if environment is None:
                return start
            if environment.is_whole:
                await _blocking(partial(self.environments.note_use, environment))
                return start
            other = await _blocking(partial(self.environments.ensure, environment, start, os.environ))
            if other is not None:
                return other

    async def _instances(self, service: ServiceRef) -> list[Instance]:
        return await _blocking(lambda: self.client.instances(service))

    async def _end(
        self, service: ServiceRef, release_id: UUID | None, keep: UUID | None = None
    ) -> Wait | None:
        """Ask to end, and look for a moment whether it did; None when nothing is left."""
        pauses = _pauses()
        while left := await _blocking(lambda: self.client.stop(service, release_id, keep)):
            if (pause := next(pauses, None)) is None:
                names = ", ".join(one.start.name for one in left)
                return Wait(0.5, f"{names}: within its grace period of {left[0].start.grace_seconds:g} s")
            await asyncio.sleep(pause)
        return None

    async def _look_at(self, instance: Instance) -> InstanceStatus:
        start, status = instance.start, instance.status
        answer = None
        listening: tuple[int, ...] | None = ()
        if instance.alive and status.state == "running" and start.ports:
            answer = await ask(next(iter(start.ports.values())), start.health)
            if answer.refused:
                begins = time.time() - status.started_at < BEGINNING
                listening = None if begins else await asyncio.to_thread(listens_on, status.pid)
        seen = judge(instance, answer, listening, time.time())
        if seen.health is Health.HEALTHY and not instance.was_healthy:
            await _blocking(lambda: self.client.note_healthy(instance))
        return seen


def _pauses() -> Iterator[float]:
    """Between looks at what is about to end, in seconds: short at first; PROMPT altogether."""
    pause, left = PAUSE, PROMPT
    while left > 0:
        yield pause
        left -= pause
        pause = min(pause * 1.3, LONGEST_PAUSE)


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
