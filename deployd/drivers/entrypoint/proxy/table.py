"""What the proxy knows of the records, and how many requests are under way to where."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from .balance import Balance
from .gate import Gate, is_here
from .paths import canonical, longest, segments
from .record import Record, Seen, Way, read_changed

__all__ = ["FRESH", "Found", "Table"]

FRESH = 0.1
"""Seconds for which the table is believed without a look at its folder."""
REMEMBERED = 4096
"""Questions whose answers are kept until the table changes."""


class Found(NamedTuple):
    """Which service a request is for. `refused`: the gate that does not let its caller in."""

    service_id: str
    record: Record
    refused: Gate | None = None


class Table:
    """`entry` is where the ways of records are open that do not say it: (address, port)."""

    def __init__(self, folder: Path, entry: tuple[str, int]) -> None:
        self._folder, self._entry = folder, entry
        self._files: dict[str, Seen] = {}
        self._records: dict[str, Record] = {}
        self._ways: dict[tuple[tuple[str, int], str], list[tuple[tuple[str, ...], tuple[str, Way]]]] = {}
        self._balances: dict[str, Balance] = {}
        self._answers: dict[tuple[tuple[str, int], str, str, str], Found | None] = {}
        self._looked = 0.0
        self._seen = -1
        self._busy: Counter[tuple[str, str]] = Counter()

    def load(self) -> None:
        """Read everything anew that has changed."""
        self._looked = time.monotonic()
        self._seen = self._changed()
        before, self._files = self._files, read_changed(self._folder, self._files)
        if self._files == before and self._ways:
            return
        self._records = {name: one for name, (_, one) in self._files.items() if one is not None}
        self._balances = {name: self._balances.get(name, Balance()) for name in self._records}
        self._ways = {}
        self._answers.clear()
        claims = [(way, name) for name, record in self._records.items() for way in record.ways]
        # deployd lets nobody claim what another one has; should it happen, the first one keeps it.
        for way, name in sorted(claims, key=lambda one: (-len(segments(one[0].path)), one[0].since, one[1])):
            at = self._entry_of(self._records[name])
            self._ways.setdefault((at, way.host), []).append((segments(way.path), (name, way)))

    def _entry_of(self, record: Record) -> tuple[str, int]:
        return (record.listen, record.entry) if record.entry else self._entry

    def refresh(self) -> None:
        """As new as `FRESH`."""
        if time.monotonic() - self._looked > FRESH:
            if self._changed() == self._seen:
                self._looked = time.monotonic()
            else:
                self.load()

    def find(self, entry: tuple[str, int], host: str, path: str, peer: str) -> Found | None:
        """Whom a request is for that came in here.

        How a service reads a path with `..` or `%2e` in it is not known: gates hold for both readings.
        """
        self.refresh()
        asked = entry, host, path, peer
        if asked not in self._answers:
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            self._answers[asked] = self._find(*asked)
        return self._answers[asked]

    def _find(self, entry: tuple[str, int], host: str, path: str, peer: str) -> Found | None:
        here = self._ways.get((entry, host), ())
        read = [longest(one, here) for one in dict.fromkeys((canonical(path), path))]
        if (found := read[0]) is None or (found[1].local and not is_here(peer)):
            return None
        name, record = found[0], self._records[found[0]]
        if record.gates is not None and not any(one.lets_in(peer, entry[1]) for one in record.gates):
            return Found(name, record, refused=Gate("the entrypoint", (), ()))
        for way in (one[1] for one in read if one is not None):
            if way.gate is not None and not way.gate.lets_in(peer, entry[1]):
                return Found(name, record, refused=way.gate)
        return Found(name, record)

    def inside(self, service_id: str) -> Found | None:
        """The service at whose internal address a request came in."""
        self.refresh()
        record = self._records.get(service_id)
        return None if record is None else Found(service_id, record)

    def choose(self, found: Found, tried: Collection[str] = ()) -> str | None:
        """Its target for the next request; None when all were tried."""
        return self._balances[found.service_id].choose(found.record.targets, tried)

    def hosts(self, entry: tuple[str, int], peer: str) -> list[str]:
        """All that are known here, for people on this host."""
        if not is_here(peer):
            return []
        here = ((host, ways) for (at, host), ways in self._ways.items() if at == entry)
        return sorted(f"{host}{way.path.rstrip('/')}" for host, ways in here for _, (_, way) in ways)

    @property
    def entries(self) -> set[tuple[str, int]]:
        """Addresses and ports at which ways are open."""
        return {at for at, _ in self._ways if at[1]}

    @property
    def inner(self) -> dict[int, tuple[str, str]]:
        """The ports of internal addresses, with the service's id and how it talks."""
        return {one.port: (name, one.scheme) for name, one in self._records.items() if one.port}

    @property
    def serves(self) -> bool:
        """Whether any service has a target, or will have one soon: until then its callers are told so."""
        return any(record.targets or record.soon for record in self._records.values())

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
