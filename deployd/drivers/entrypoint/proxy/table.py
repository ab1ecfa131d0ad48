"""The routing table: one file for each service, replaced as a whole, so that it survives both sides.

    HOME/routes/SERVICE_ID.json    {"service", "host", "target", "why", "since"}

deployd writes it, the proxy reads it. Without a target `why` says what became of the service.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["FRESH", "Route", "Table", "read_route", "write_route"]

FRESH = 0.1
"""Seconds for which the table is believed without a look at its folder."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests for one host go."""

    service: str
    host: str
    """In lower case, without a port: `hello.localhost`."""
    target: str | None
    """`127.0.0.1:24017`."""
    why: str
    """Without a target: `is suspended`."""
    since: float
    """When it began to be so, in seconds since 1970."""


def write_route(folder: Path, service_id: str, route: Route) -> None:
    """Replace a service's route at once."""
    draft = folder / f".{service_id}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        draft.write_text(json.dumps(asdict(route)), encoding="utf-8")
        draft.replace(folder / f"{service_id}.json")
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_route(folder: Path, service_id: str) -> Route | None:
    """A service's route; None where it has none, or none that can be read."""
    try:
        return Route(**json.loads((folder / f"{service_id}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Table:
    """What the proxy knows of the files, and how many requests are under way to where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._routes: dict[str, Route] = {}
        self._hosts: dict[str, str] = {}
        self._looked = 0.0
        self._seen = -1
        self._busy: Counter[tuple[str, str]] = Counter()

    def load(self) -> None:
        """Read everything anew."""
        self._looked = time.monotonic()
        self._seen = self._changed()
        try:
            names = sorted(one.stem for one in self._folder.glob("*.json"))
        except OSError:
            names = []
        found = ((name, read_route(self._folder, name)) for name in names)
        self._routes = {name: route for name, route in found if route is not None}
        # Should two ever claim one host, the one that was routed last has it.
        ordered = sorted(self._routes.items(), key=lambda item: (item[1].target is not None, item[1].since))
        self._hosts = {route.host: name for name, route in ordered}

    def of(self, host: str) -> tuple[str, Route] | None:
        """The service's id and route for this host, as new as `FRESH`."""
        if time.monotonic() - self._looked > FRESH:
            if self._changed() == self._seen:
                self._looked = time.monotonic()
            else:
                self.load()
        name = self._hosts.get(host)
        return None if name is None else (name, self._routes[name])

    @property
    def hosts(self) -> list[str]:
        """All that are known."""
        return sorted(self._hosts)

    @property
    def serves(self) -> bool:
        """Whether any service has a target."""
        return any(route.target is not None for route in self._routes.values())

    @property
    def is_busy(self) -> bool:
        """Whether any request is under way."""
        return bool(self._busy)

    def begin(self, service_id: str, target: str) -> None:
        """A request goes to this target now."""
        self._busy[service_id, target] += 1

    def end(self, service_id: str, target: str) -> None:
        """It has ended, or need not be waited for."""
        self._busy[service_id, target] -= 1
        if not self._busy[service_id, target]:
            del self._busy[service_id, target]

    def busy(self, service_id: str) -> dict[str, int]:
        """Requests under way, by target."""
        return {target: count for (name, target), count in self._busy.items() if name == service_id}

    def _changed(self) -> int:
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return 0
