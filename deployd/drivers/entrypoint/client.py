"""The outside of this driver: the table's files, and the proxy's process. All is found by files alone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployd.drivers.detached import short_path, start_detached
from deployd.drivers.entrypoint import proxy
from deployd.drivers.entrypoint.proxy.program import ALREADY, SPEAKS
from deployd.drivers.entrypoint.proxy.record import Record, read_record, read_records, write_record
from deployd.errors import Retryable

__all__ = ["Client", "State"]

PROGRAM = Path(proxy.__file__).parent / "__main__.py"
PATIENCE = 5.0
"""Seconds for the proxy to start, to end, or to answer before it is taken for stuck and killed."""


@dataclass(frozen=True, slots=True)
class State:
    """What the proxy says of itself, and of one service's requests that are under way, by target."""

    pid: int
    speaks: int
    failed: Mapping[str, str]
    """Addresses that it cannot listen at, and why."""
    busy: Mapping[str, int]


class Client:
    """Everything here blocks for a short time: call it in a thread."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._routes = home / "routes"

    def change(self, service_id: str, change: Callable[[Mapping[str, Record]], Record]) -> Record:
        """The service's record becomes what `change` makes of all records, one change at a time."""
        with self._alone():
            records = read_records(self._routes)
            record = change(records)
            if records.get(service_id) != record:
                write_record(self._routes, service_id, record)
            return record

    def read(self, service_id: str) -> Record | None:
        """The record, if there is one."""
        return read_record(self._routes, service_id)

    def read_all(self) -> Mapping[str, Record]:
        """All records, by the services' ids."""
        return read_records(self._routes)

    def remove(self, service_id: str) -> None:
        """There is no record of it."""
        (self._routes / f"{service_id}.json").unlink(missing_ok=True)

    def _make(self) -> None:
        for folder in (self.home, self._routes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the table, on this host."""
        self._make()
        lock = os.open(self.home / "changing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def ask(self, service_id: str, ask: str = "state") -> State | None:
        """The proxy's answer, which follows from the table as it is now; None when there is no proxy."""
        asked = self._named()
        try:
            said = self._talk(json.dumps({"ask": ask, "service": service_id}).encode() + b"\n")
            answer = json.loads(said)
            return State(answer["pid"], answer.get("speaks", 1), answer.get("failed", {}), answer["busy"])
        except TimeoutError:
            self._kill(asked)
            return None
        except (OSError, ValueError):
            return None

    def keep(self, service_id: str, host: str, port: int) -> State:
        """The proxy, found or started: then with this host and port for records of old. Raises Retryable."""
        self._make()
        until = time.monotonic() + 2 * PATIENCE
        while True:
            state = self.ask(service_id)
            if state is not None and state.speaks == SPEAKS:
                return state
            if state is not None:
                self.end()
            elif time.monotonic() > until:
                raise Retryable(f"the entrypoint in {self.home} holds its lock and does not answer")
            elif not self._start(host, port):
                time.sleep(0.02)

    def end(self) -> None:
        """Ask it to end, and wait until it has. Raises Retryable when it does not."""
        if not self.home.is_dir():
            return
        until = time.monotonic() + PATIENCE
        self.ask("", "end")
        while self._holder() is not None:
            if time.monotonic() > until:
                raise Retryable(f"the entrypoint in {self.home} does not end")
            time.sleep(0.02)

    def _talk(self, line: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talking:
            talking.settimeout(PATIENCE)
            path = self.home / "control.sock"
            with short_path(path) as reachable:
                talking.connect(reachable)
            talking.sendall(line)
            answer = b""
            while not answer.endswith(b"\n") and (piece := talking.recv(65_536)):
                answer += piece
            return answer

    def _start(self, host: str, port: int) -> bool:
        """Whether it runs now; False while another one still has the lock. Raises Retryable."""
        status, said = start_detached(
            PROGRAM, str(self.home), host, str(port), name="the entrypoint", patience=2 * PATIENCE
        )
        if status not in {0, ALREADY}:
            raise Retryable("the entrypoint did not start", evidence=said[-2000:])
        return status == 0

    def _holder(self) -> int | None:
        """Who holds the lock: a process id, 0 when it has not said so yet; None: nobody."""
        try:
            lock = os.open(self.home / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return int(os.read(lock, 32).strip() or 0)
        finally:
            os.close(lock)

    def _named(self) -> int:
        """The process id that the lock has, which whoever holds it has written there; 0: none."""
        try:
            return int((self.home / "lock").read_text() or 0)
        except (OSError, ValueError):
            return 0

    def _kill(self, asked: int) -> None:
        """End the proxy that was asked and does not answer; another one that took its place is left alone."""
        if asked and self._holder() == asked:
            try:
                os.kill(asked, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended meanwhile
