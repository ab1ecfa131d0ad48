"""What a server left behind whose starter, or whose own first process, was killed.

A process counts as left over when it runs as the server's user and either serves our data directory or
carries our cluster's title. Its number alone says nothing: numbers are recycled (in containers at each
start), and a zombie still has one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import PostgresUnavailable

__all__ = ["Processes", "disown_pid_file", "end_leftovers", "find_processes"]

STAGES = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 10.0))
"""What a left-over server is sent, and for how many seconds it is then waited for."""
PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Processes:
    """What runs of one server."""

    server: int | None
    """The first process, which ends the others when it is told to end."""
    others: tuple[int, ...]


async def end_leftovers(data: Path, title: str, uid: int) -> None:
    """Wait until no process of an earlier server on `data` is left, telling them to end.

    A server that lost its deployd is shutting down by itself already, which the first signal repeats
    without harm. Raises PostgresUnavailable when it does not end.
    """
    if not (data / "postmaster.pid").exists():
        return  # a server removes it last of all
    for number, patience in STAGES:
        deadline = time.monotonic() + patience
        signalled: set[int] = set()
        while True:
            found = find_processes(data, title, uid)
            if found.server is None and not found.others:
                return
            # Without a first process the others know nothing of a shutdown, except how to drop everything.
            told = (
                ((found.server, number),)
                if found.server
                else tuple((pid, signal.SIGQUIT) for pid in found.others)
            )
            for pid, what in told:
                if pid not in signalled:
                    signalled.add(pid)
                    try:
                        os.kill(pid, what)
                    except ProcessLookupError:
                        pass  # ended meanwhile
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(PAUSE)
    left = [str(pid) for pid in (found.server, *found.others) if pid]
    raise PostgresUnavailable(
        f"An earlier server on {data} does not end: process {', '.join(left)}",
        remedy=f"Run `kill -9 {' '.join(left)}` and start again.",
    )


def disown_pid_file(data: Path) -> None:
    """Make the next server see that the one which wrote `postmaster.pid` is gone.

    Postgres takes any living process of that number for a server, except its own parent and the one that
    PG_GRANDPARENT_PID in its environment names: so this process, which has to be one of the two, is put in.
    The file is not removed, as the next server finds in it the shared memory of the last one, and refuses
    to start while somebody still uses that.
    """
    path = data / "postmaster.pid"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "r+b") as file:
        _, _, rest = file.read().partition(b"\n")
        if not rest:
            path.unlink()  # it was killed while writing it, and has not served
            return
        file.seek(0)
        file.truncate()
        file.write(b"%d\n" % os.getpid() + rest)


def find_processes(data: Path, title: str, uid: int) -> Processes:
    """What runs as this user on this data directory, or under this title. Blocks for milliseconds."""
    serving, others = [], []
    for pid, command in _processes_of(uid):
        if f"postgres -D {data} " in f"{command} ":
            serving.append(pid)
        elif command.startswith(f"postgres: {title}: "):
            others.append(pid)
    if len(serving) <= 1:
        return Processes(serving[0] if serving else None, tuple(others))
    # A child has its parent's command line, until it has a title.
    parents = {pid: parent for pid in serving if (parent := _parent_of(pid)) is not None}
    server = next((pid for pid, parent in parents.items() if parent not in parents), None)
    return Processes(server, (*others, *(pid for pid in parents if pid != server)))


def _parent_of(pid: int) -> int | None:
    """None: it has ended."""
    if sys.platform != "linux":
        shown = subprocess.run(
            ["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return int(shown.stdout) if shown.stdout.strip() else None
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _processes_of(uid: int) -> Iterator[tuple[int, str]]:
    """Number and command line of every process of this user. Zombies have no command line."""
    if sys.platform != "linux":
        listed = subprocess.run(
            ["ps", "-axwwo", "pid=,uid=,command="], capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines():
            pid, owner, *command = line.split(maxsplit=2)
            if int(owner) == uid:
                yield int(pid), "".join(command)
        return
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                if entry.stat().st_uid == uid:
                    command = Path(entry.path, "cmdline").read_bytes()
                    yield int(entry.name), command.replace(b"\0", b" ").decode(errors="replace").strip()
            except (FileNotFoundError, ProcessLookupError):
                pass  # ended meanwhile
