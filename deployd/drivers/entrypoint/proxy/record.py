"""What deployd writes and the proxy reads: one file for each service, replaced as a whole.

    HOME/routes/SERVICE_ID.json    a Record, as JSON

So the table survives both sides. Files of versions with one target and no ways are understood too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .gate import Gate

__all__ = [
    "Record",
    "Seen",
    "Target",
    "Way",
    "read_changed",
    "read_record",
    "read_records",
    "write_record",
]


Seen = tuple[tuple[int, ...], "Record | None"]
"""What shows whether a file was replaced, and the record in it; None: none that can be read."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests may go."""

    address: str
    """`127.0.0.1:24017`."""
    weight: int
    """Above zero: its part of the requests, in relation to the sum."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in from outside: a host, and the beginning of the paths."""

    host: str
    """In lower case, without a port: `hello.localhost`."""
    path: str
    """Segment by segment: `/`, `/cart`; no slash at its end."""
    since: float
    """When the service got it, in seconds since 1970: the first one keeps it."""
    local: bool = False
    """The service's own name on this host, which only this host may use."""
    gate: Gate | None = None
    """What callers have to pass here, besides the entrypoint's own gates."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where requests for one service come in, and where they go."""

    service: str
    targets: tuple[Target, ...] = ()
    why: str = "is not served yet"
    """Without targets: what became of the service."""
    soon: bool = False
    """Without targets: whether callers should try again in a moment."""
    since: float = 0.0
    """When its targets, or the reason for having none, began to be so; in seconds since 1970."""
    listen: str = ""
    """The address at which its ways are open; empty: that of the proxy."""
    entry: int = 0
    """The port of that address; 0: that of the proxy, or none where there are no ways."""
    ways: tuple[Way, ...] = ()
    gates: tuple[Gate, ...] | None = None
    """Of the entrypoint, one of which callers have to pass; None: it has none."""
    port: int = 0
    """Of 127.0.0.1: its internal address, which stays; 0: none."""
    scheme: str = "http"
    """How it talks there: `http`, or `tcp` for anything."""


def write_record(folder: Path, service_id: str, record: Record) -> None:
    """Replace a service's record at once, on the disk too: an address that was told must stay."""
    draft = folder / f".{service_id}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / f"{service_id}.json")
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_record(folder: Path, service_id: str) -> Record | None:
    """A service's record; None where it has none, or none that can be read."""
    try:
        return _record(json.loads((folder / f"{service_id}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def read_records(folder: Path) -> dict[str, Record]:
    """All of them, by the services' ids."""
    return {name: one for name, (_, one) in read_changed(folder, {}).items() if one is not None}


def read_changed(folder: Path, before: Mapping[str, Seen]) -> dict[str, Seen]:
    """All files, by the services' ids; only those are read that are not as they were `before`."""
    found: dict[str, Seen] = {}
    try:
        with os.scandir(folder) as there:
            for file in there:
                name, _, end = file.name.rpartition(".")
                if end != "json" or name.startswith(".") or not name:
                    continue
                try:
                    seen = file.stat()
                except FileNotFoundError:
                    continue
                version = seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
                was = before.get(name)
                same = was is not None and was[0] == version
                found[name] = was if same and was else (version, read_record(folder, name))
    except OSError:
        return {}
    return dict(sorted(found.items()))


def _record(raw: dict[str, Any]) -> Record:
    if "host" in raw:  # of a version that knew one host and one target
        targets = () if raw["target"] is None else (Target(raw["target"], 100),)
        way = Way(raw["host"], "/", raw["since"], local=True)
        return Record(raw["service"], targets, raw["why"], since=raw["since"], ways=(way,))
    gates = raw["gates"]
    return Record(
        **{
            **raw,
            "targets": tuple(Target(**one) for one in raw["targets"]),
            "ways": tuple(
                Way(**{**one, "gate": None if one["gate"] is None else _gate(one["gate"])})
                for one in raw["ways"]
            ),
            "gates": None if gates is None else tuple(_gate(one) for one in gates),
        }
    )


def _gate(raw: dict[str, Any]) -> Gate:
    return Gate(raw["name"], tuple(raw["allow"]), tuple(raw["ports"]))
