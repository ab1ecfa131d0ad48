"""An instance's two files: what shall run (written before anything starts), and how it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from deployd.drivers.process.shim.handed import Handed

__all__ = ["Start", "Status", "read_start", "read_status", "start_text", "status_text"]


@dataclass(frozen=True, slots=True)
class Start:
    """What a supervisor has to know; `spec.json`, mode 0600, but for what is handed to it directly."""

    world_id: int
    service_id: str
    service: str
    number: int
    argv: tuple[str, ...]
    text: str
    """The command as people write it."""
    cwd: str
    env: Mapping[str, str]
    """The variables that are no secrets."""
    health: str | None = None
    """The HTTP path to ask."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """By name, the first one first."""
    told_ports: Mapping[str, int] = field(default_factory=dict)
    """What the manifest calls them, for advice."""
    uid: int | None = None
    memory: int | None = None
    """Bytes."""
    open_files: int = 1024
    grace_seconds: float = 10.0
    stop_signal: str = "SIGTERM"
    handed: Handed = field(default=Handed(), repr=False)
    """What is secret: never in a file, so unknown of a start that was read from one."""
    task: str = ""
    """What it is called, where it is a task rather than the service itself."""
    environment: str | None = None
    """The folder of the packages that it uses, which is kept as long as this is."""
    timeout: float | None = None
    """Seconds that a task may take; None: it shall stay up."""

    @property
    def name(self) -> str:
        """What people call the instance."""
        return f"{self.service}-{self.number} {self.task}".rstrip()


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor last said; `status.json`."""

    state: str = "none"
    """running, backoff, stopping, stopped, ended (a task); none: it never said anything."""
    shim: int = 0
    shim_birth: str | None = None
    pid: int = 0
    birth: str = ""
    started_at: float = 0.0
    restarts: int = 0
    failures: int = 0
    """Exits in a row without a minute of being up."""
    exit: Mapping[str, Any] | None = None
    """How it last ended: `code`, `signal` or `error`; a task also by its `timeout`."""
    tail: tuple[str, ...] = ()
    """Its last lines before that."""
    dropped: int = 0
    """Lines that the disk did not take."""


REMEMBERED = 1024
"""Starts that are kept in memory."""
_READ: dict[Path, tuple[tuple[int, ...], Start]] = {}
_KEPT = {one.name for one in fields(Start)} - {"handed"}


def start_text(start: Start) -> str:
    """As it is written."""
    return json.dumps({name: getattr(start, name) for name in sorted(_KEPT)})


def status_text(status: Status) -> str:
    """As it is written."""
    return json.dumps(asdict(status))


def read_start(folder: Path) -> Start | None:
    """What shall run in this folder; None where nothing was ever meant to.

    Ports are given by looking at all of them: each is read once, as its file is only replaced as a whole.
    """
    file = folder / "spec.json"
    try:
        seen = file.stat()
        version = seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
        was = _READ.get(file)
        if was is not None and was[0] == version:
            return was[1]
        read = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    known = {name: read[name] for name in _KEPT & read.keys()}  # another version may have written more
    start = Start(**{**known, "argv": tuple(read["argv"])})
    if len(_READ) >= REMEMBERED:
        _READ.clear()
    _READ[file] = version, start
    return start


def read_status(folder: Path) -> Status:
    """How it does, as far as it was said."""
    try:
        read = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # ValueError: emptied by a power cut
        return Status()
    return Status(**{**read, "tail": tuple(read["tail"])})
