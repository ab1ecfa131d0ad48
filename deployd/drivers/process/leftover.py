"""What runs here for services that nobody knows, and how much room their logs have."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import UUID

from deployd.drivers.process.instance import read_start, read_status
from deployd.drivers.process.shim.kernel import birth
from deployd.model.finding import Finding, Level

__all__ = ["examine"]

SCARCE = 500 * 2**20
"""Bytes of the disk below which logs soon have no room."""
NONE_LEFT = 20 * 2**20


def examine(home: Path, services: Collection[UUID]) -> list[Finding]:
    """Looks at files and processes; changes nothing. Blocks for milliseconds."""
    known = {str(one) for one in services}
    return [_left(home, known), _room(home)]


def _left(home: Path, known: Collection[str]) -> Finding:
    running, unknown = 0, []
    for folder in _instances(home):
        status = read_status(folder)
        if status.shim <= 0 or birth(status.shim) != status.shim_birth:
            continue
        running += 1
        if folder.parent.name not in known:
            start = read_start(folder)
            unknown.append((status.shim, start.name if start else folder.name, folder))
    if not unknown:
        return Finding("processes", Level.OK, f"all that runs is of known services ({running})")
    pids = " ".join(str(pid) for pid, _, _ in unknown)
    return Finding(
        "processes",
        Level.WARNING,
        f"{len(unknown)} of {running} run for services that this database does not know",
        f"If no other database uses this home, end them: kill {pids}",
        "\n".join(f"process {pid}: {name}, in {folder}" for pid, name, folder in unknown),
    )


def _instances(home: Path) -> Iterator[Path]:
    """HOME/WORLD/SERVICE/RELEASE and HOME/tasks/SERVICE/TASK."""
    for file in home.glob("*/*/*/status.json"):
        yield file.parent


def _room(home: Path) -> Finding:
    there = next(one for one in (home, *home.parents) if one.exists())
    free = shutil.disk_usage(there).free
    shown = f"{free / 2**30:.1f} GiB are free for what services write"
    if free >= SCARCE:
        return Finding("logs", Level.OK, shown)
    remedy = f"Free some of the disk of {there}; deployd keeps at most a few files of each service's log."
    level = Level.WRONG if free < NONE_LEFT else Level.WARNING
    return Finding("logs", level, f"only {free / 2**20:.0f} MiB are free for what services write", remedy)
