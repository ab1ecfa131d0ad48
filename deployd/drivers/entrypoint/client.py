"""The outside of this driver: the table's files, and the proxy's process. All is found by files alone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from deployd.drivers.detached import short_path, start_detached
from deployd.drivers.entrypoint import proxy
from deployd.drivers.entrypoint.proxy.program import ALREADY, TAKEN
from deployd.drivers.entrypoint.proxy.table import Route, read_route, write_route
from deployd.errors import Retryable

__all__ = ["Client", "PortTaken", "State"]

PROGRAM = Path(proxy.__file__).parent
PATIENCE = 5.0
"""Seconds for the proxy to start, to end, or to answer before it is taken for stuck and killed."""


class PortTaken(Exception):
    """The proxy cannot listen; the message says why, in the system's words."""


@dataclass(frozen=True, slots=True)
class State:
    """What the proxy says of itself, and of one service's requests that are under way, by target."""

    pid: int
    port: int
    busy: dict[str, int]


class Client:
    """Everything here blocks for a short time: call it in a thread."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._routes = home / "routes"

    def write(
        self, service_id: str, service: str, host: str, target: str | None, why: str, now: float
    ) -> Route:
        """The route is on record. One that is so already is left alone, with the time it began."""
        for folder in (self.home, self._routes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = self.read(service_id)
        route = Route(service, host, target, why, now)
        if before is not None and (before.service, before.host, before.target, before.why) == (
            service,
            host,
            target,
            why,
        ):
            return before
        write_route(self._routes, service_id, route)
        return route

    def read(self, service_id: str) -> Route | None:
        """The route on record, if there is one."""
        return read_route(self._routes, service_id)

    def remove(self, service_id: str) -> None:
        """There is no route for it."""
        (self._routes / f"{service_id}.json").unlink(missing_ok=True)

    def ask(self, service_id: str, ask: str = "state") -> State | None:
        """The proxy's answer, which follows from the table as it is now; None when there is no proxy."""
        try:
            said = self._talk(json.dumps({"ask": ask, "service": service_id}).encode() + b"\n")
            answer = json.loads(said)
            return State(answer["pid"], answer["port"], answer["busy"])
        except TimeoutError:
            self._kill()
            return None
        except (OSError, ValueError):
            return None

    def keep(self, service_id: str, port: int) -> State:
        """The proxy at this port, found or started. Raises PortTaken, Retryable."""
        until = time.monotonic() + 2 * PATIENCE
        while True:
            state = self.ask(service_id)
            if state is not None and state.port == port:
                return state
            if state is not None:
                self.end()
            elif time.monotonic() > until:
                raise Retryable(f"the entrypoint in {self.home} holds its lock and does not answer")
            elif not self._start(port):
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

    def _start(self, port: int) -> bool:
        """Whether it runs now; False while another one still has the lock. Raises PortTaken, Retryable."""
        status, said = start_detached(
            PROGRAM, str(self.home), str(port), name="the entrypoint", patience=2 * PATIENCE
        )
        if status == TAKEN:
            raise PortTaken(said)
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

    def _kill(self) -> None:
        """End a proxy that does not answer. Who holds the lock has written its own id into it."""
        if pid := self._holder():
            os.kill(pid, signal.SIGKILL)
