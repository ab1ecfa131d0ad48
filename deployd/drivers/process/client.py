"""The outside of this driver: instance folders, their supervisors, and signals to these.

With its neighbours accounts, ports, probe, hints and logs it is all that touches processes, files and
sockets. Everything is found by files alone:

    HOME/lock, users.json                  user numbers and ports are given under this lock
    HOME/hints.sock, hints.lock            where supervisors say that something changed
    HOME/WORLD/SERVICE/lock                whoever changes the service's instances holds it
    HOME/WORLD/SERVICE/home/               the service's own folder
    HOME/WORLD/SERVICE/RELEASE/            an instance: spec.json, status.json, lock, logs/, stop, healthy
    HOME/tasks/SERVICE/TASK/               a task: the same, without healthy (tasks.py)
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID
from weakref import WeakValueDictionary

from deployd.drivers.api import ServiceRef
from deployd.drivers.detached import start_detached
from deployd.drivers.process import shim
from deployd.drivers.process.accounts import as_whom, known_user, own_user
from deployd.drivers.process.command import port_variables
from deployd.drivers.process.instance import Start, Status, read_start, read_status, start_text, status_text
from deployd.drivers.process.ports import choose_ports
from deployd.drivers.process.shim.files import write_whole
from deployd.drivers.process.shim.handed import Handed, handed_text
from deployd.drivers.process.shim.kernel import birth, end_group
from deployd.drivers.process.shim.supervisor import ALREADY, ENDED, STOPPED
from deployd.errors import Retryable, Terminal

__all__ = ["Client", "Instance"]

LOCK_PATIENCE = 5.0
START_PATIENCE = 10.0
"""Seconds for a supervisor to have its program on record."""
OVERDUE = 5.0
"""Seconds beyond the grace period after which a supervisor that does not end is killed."""
STOPPED_KEPT = 5
"""Stopped instances whose folders (and logs) stay, for each service."""
SHIM = Path(shim.__file__).parent / "__main__.py"
_QUEUES: WeakValueDictionary[Path, threading.Lock] = WeakValueDictionary()
"""For each lock file, where threads of this process wait."""
_QUEUES_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as its folder shows it at one moment."""

    folder: Path
    release_id: UUID
    """Or, for a task, the task's id."""
    start: Start
    status: Status
    alive: bool
    """Its supervisor lives."""
    stopping: bool
    """It is not wanted any more."""

    @property
    def ended(self) -> bool:
        """It is a task whose end is on record."""
        return self.status.state == ENDED

    @property
    def was_healthy(self) -> bool:
        """Whether it did well at any time since it was applied."""
        return (self.folder / "healthy").exists()


class Client:
    """Everything here blocks for a short time: call it in a thread."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def folder(self, service: ServiceRef) -> Path:
        """The service's folder."""
        return self.home / str(service.world_id) / str(service.service_id)

    def own_home(self, service: ServiceRef) -> Path:
        """The folder that the service may call its home."""
        return self.folder(service) / "home"

    def instances(self, service: ServiceRef) -> list[Instance]:
        """All that were ever applied and are not pruned, oldest release first."""
        found: list[Instance] = []
        for folder in _folders(self.folder(service)):
            one = self.instance(folder, UUID(folder.name))
            if one is not None:
                found.append(one)
        return sorted(found, key=lambda one: one.start.number)

    def instance(self, folder: Path, release_id: UUID) -> Instance | None:
        """What is in this folder; None where nothing was ever meant to run."""
        start = read_start(folder)
        if start is None:
            return None
        status = read_status(folder)
        alive = status.shim > 0 and birth(status.shim) == status.shim_birth
        return Instance(folder, release_id, start, status, alive, (folder / "stop").exists())

    def run_once(
        self,
        folder: Path,
        task_id: UUID,
        start: Start,
        again: Callable[[Instance], bool] = lambda _: False,
    ) -> Instance:
        """Have a task supervised in this folder: what runs is adopted, what has ended stays so.

        It runs again only where a supervisor was killed before the end was on record, or `again` says so.
        """
        self.prepare_folders(folder.parent)
        with _locked(folder.parent / "lock"):
            now = self.instance(folder, task_id)
            if now is not None and (now.alive or ((now.ended or now.stopping) and not again(now))):
                return now
            folder.mkdir(mode=0o700, exist_ok=True)
            with _free(folder / "lock") as free:
                if free:
                    if now is not None:
                        self._end_remains(now)
                        for file in ("status.json", "stop"):
                            (folder / file).unlink(missing_ok=True)
                    write_whole(folder / "spec.json", start_text(start), durable=True)
            _ = self._launch(folder, start.handed) if free else _await_status(folder)
            now = self.instance(folder, task_id)
        assert now is not None
        return now

    def end_once(self, folder: Path, task_id: UUID) -> Instance | None:
        """Ask a task to end; it, where it has not yet."""
        if not folder.is_dir():
            return None
        with _locked(folder.parent / "lock"):
            one = self.instance(folder, task_id)
            return one if one is not None and not one.ended and self._is_ending(one) else None

    def run(self, service: ServiceRef, release_id: UUID, start: Start, first: int, last: int) -> bool:
        """Have this instance supervised; True when it is, False while an earlier life of it still ends.

        What runs is adopted. Otherwise user and ports are given, the intent is written, then it starts.
        """
        folder = self.folder(service) / str(release_id)
        self._prepare(service)
        with _locked(self.folder(service) / "lock"):
            now = next((one for one in self.instances(service) if one.release_id == release_id), None)
            if now is not None and now.alive:
                return not now.stopping
            folder.mkdir(mode=0o700, exist_ok=True)
            with _free(folder / "lock") as free:
                if not free:
                    return _await_status(folder)  # somebody died while starting it
                if now is not None:
                    self._end_remains(now)
                with _locked(self.home / "lock"):
                    start = self._give(
                        service, release_id, start, now.start.ports if now else {}, first, last
                    )
                    write_whole(folder / "spec.json", start_text(start), durable=True)
                    (folder / "stop").unlink(missing_ok=True)
                (folder / "healthy").unlink(missing_ok=True)
            return self._launch(folder, start.handed)

    def stop(self, service: ServiceRef, release_id: UUID | None, keep: UUID | None = None) -> list[Instance]:
        """Ask instances to end (one, or all but `keep`); those that have not ended yet are the answer."""
        ending: list[Instance] = []
        if not self.folder(service).is_dir():
            return ending
        with _locked(self.folder(service) / "lock"):
            for one in self.instances(service):
                if one.release_id == keep or release_id not in {None, one.release_id}:
                    continue
                if self._is_ending(one):
                    ending.append(one)
            self._prune(service)
        return ending

    def _is_ending(self, instance: Instance) -> bool:
        """It is not wanted any more from here on; False once nothing is left of it."""
        marker = instance.folder / "stop"
        with _free(instance.folder / "lock") as free:
            if not marker.exists():
                marker.touch(mode=0o600)
            if free and self._end_remains(instance):
                return False
        if instance.alive:
            self._ask_to_end(instance, marker)
        return True

    def _ask_to_end(self, instance: Instance, marker: Path) -> None:
        """Ask its supervisor once; kill it when it is long overdue. The marker says whether it was asked."""
        shim, born = instance.status.shim, instance.status.shim_birth
        if not marker.read_text():
            _signal(shim, born, signal.SIGTERM)
            marker.write_text("asked\n")
        elif time.time() - marker.stat().st_mtime > instance.start.grace_seconds + OVERDUE:
            _signal(shim, born, signal.SIGKILL)

    def _end_remains(self, instance: Instance) -> bool:
        """Kill what a supervisor left that was killed itself; True when nothing is left of it."""
        status = instance.status
        if not status.pid:
            return True
        if not end_group(status.pid, status.birth, instance.start.uid):
            return False
        # From now on the number may be a stranger's.
        write_whole(instance.folder / "status.json", status_text(replace(status, pid=0, birth="")))
        return True

    def note_healthy(self, instance: Instance) -> None:
        """Remember that it did well once."""
        (instance.folder / "healthy").touch(mode=0o600)

    def user_of(self, service: ServiceRef) -> int | None:
        """The service's user, which stays its own; None where deployd is not root."""
        if not as_whom():
            return None
        if (known := known_user(self.home / "users.json", service.service_id)) is not None:
            return known
        self._prepare_folder(self.home)
        with _locked(self.home / "lock"):
            return self._user(service)

    def _user(self, service: ServiceRef) -> int:
        return own_user(self.home / "users.json", service.service_id, self._services)

    def _services(self) -> set[str]:
        return {folder.name for world in self.home.iterdir() if world.is_dir() for folder in _folders(world)}

    def _give(
        self,
        service: ServiceRef,
        release_id: UUID,
        start: Start,
        before: Mapping[str, int],
        first: int,
        last: int,
    ) -> Start:
        """The start with a user and ports. The caller holds the home's lock."""
        taken: set[int] = set()
        for folder in (
            one for world in self.home.iterdir() if world.name.isdigit() for one in _folders(world)
        ):
            for instance in _folders(folder):
                other = read_start(instance)
                if other and instance.name != str(release_id) and not (instance / "stop").exists():
                    taken.update(other.ports.values())
        ports = choose_ports(start.ports, before, taken, release_id, first, last)
        user = self._user(service) if as_whom() else None
        self._make_home(service, user)
        return replace(start, ports=ports, uid=user, env={**start.env, **port_variables(ports)})

    def _make_home(self, service: ServiceRef, user: int | None) -> None:
        own = self.own_home(service)
        own.mkdir(mode=0o700, exist_ok=True)
        if user is not None:
            os.chown(own, user, user)

    def make_home(self, service: ServiceRef) -> int | None:
        """The service's own folder is there, and its user (None where deployd is not root) has it."""
        user = self.user_of(service)
        self._prepare(service)
        self._make_home(service, user)
        return user

    def _launch(self, folder: Path, handed: Handed) -> bool:
        """Start the supervisor and hand it the secrets; it is in the background once its program runs."""
        status, errors = start_detached(
            SHIM,
            str(folder),
            name=f"the supervisor in {folder}",
            patience=START_PATIENCE,
            handed=handed_text(handed),
        )
        if status in {0, ALREADY}:
            return _await_status(folder)
        if status == STOPPED:
            return False
        said = folder / "shim.err"
        evidence = errors + (said.read_text(errors="replace") if said.exists() else "")
        raise Retryable(f"the supervisor in {folder} did not start", evidence=evidence.strip()[-2000:])

    def _prepare(self, service: ServiceRef) -> None:
        """The folders down to the service's, passable but not readable by others."""
        for folder in (self.home, self.folder(service).parent, self.folder(service)):
            self._prepare_folder(folder)

    def prepare_folders(self, folder: Path) -> None:
        """The same for any folder below the home."""
        for one in (*reversed(folder.relative_to(self.home).parents), folder.relative_to(self.home)):
            self._prepare_folder(self.home / one)

    def _prepare_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o711)

    def _prune(self, service: ServiceRef) -> None:
        """Let the oldest of the stopped instances go. The caller holds the service's lock."""
        ended = [one for one in self.instances(service) if one.stopping and not one.alive]
        ended.sort(key=lambda one: (one.folder / "stop").stat().st_mtime, reverse=True)
        for one in ended[STOPPED_KEPT:]:
            shutil.rmtree(one.folder, ignore_errors=True)


def _folders(folder: Path) -> list[Path]:
    """Those whose name is an id."""
    if not folder.is_dir():
        return []
    return [one for one in folder.iterdir() if len(one.name) == 36 and one.is_dir()]


def _await_status(folder: Path) -> bool:
    """A supervisor that holds its lock says so within moments. Raises Retryable when this one does not.

    False where it gave up, since whoever started it died before it had all that it needs.
    """
    until = time.monotonic() + LOCK_PATIENCE
    while True:
        status = read_status(folder)
        if status.state == ENDED or (status.shim and birth(status.shim) == status.shim_birth):
            return not (folder / "stop").exists()
        with _free(folder / "lock") as free:
            if free:
                return False
        if time.monotonic() > until:
            raise Retryable(f"the supervisor in {folder} does not say how it does")
        time.sleep(0.01)


@contextmanager
def _free(file: Path) -> Iterator[bool]:
    """Whether no supervisor holds this lock; and while it is so, none can begin."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Alone among all threads and processes. Raises Retryable when another one keeps it too long."""
    until = time.monotonic() + LOCK_PATIENCE
    with _alone_here(file):
        yield from _locked_there(file, until)


@contextmanager
def _alone_here(file: Path) -> Iterator[None]:
    """Threads of this process wait in a queue; only other processes are looked for again and again."""
    with _QUEUES_LOCK:
        queue = _QUEUES.setdefault(file, threading.Lock())
    if not queue.acquire(timeout=LOCK_PATIENCE):
        raise Retryable(f"{file} is held by another thread")
    try:
        yield
    finally:
        queue.release()


def _locked_there(file: Path, until: float) -> Iterator[None]:
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise Retryable(f"{file} is held by another process") from error
                time.sleep(0.005)
        yield
    finally:
        os.close(lock)


def _signal(pid: int, born: str | None, number: signal.Signals) -> None:
    """Signal this very process: one that has its number by now is left alone."""
    try:
        if not hasattr(os, "pidfd_open"):
            if birth(pid) == born:
                os.kill(pid, number)
            return
        handle = os.pidfd_open(pid)
        try:
            if birth(pid) == born:  # what is seen after opening is what was opened
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise Terminal(
            f"process {pid} belongs to another user", remedy="Run deployd as the user it ran as."
        ) from error
