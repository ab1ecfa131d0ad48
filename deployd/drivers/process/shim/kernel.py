"""Processes as the kernel knows them: who is who, whose child, which limits."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

__all__ = [
    "LINUX",
    "birth",
    "children",
    "die_with_parent",
    "end_group",
    "gain_nothing",
    "keep_orphans",
    "limit",
    "stat",
]

LINUX = sys.platform == "linux"
_PDEATHSIG, _SUBREAPER, _NO_NEW_PRIVS = 1, 36, 38
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


def _prctl(option: int, value: int) -> None:
    if _libc is not None and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def die_with_parent() -> None:
    """The kernel kills this process when its parent dies (Linux). Undone by a change of user."""
    _prctl(_PDEATHSIG, signal.SIGKILL)


def keep_orphans() -> None:
    """Descendants whose parent died become this process's children (Linux)."""
    _prctl(_SUBREAPER, 1)


def gain_nothing() -> None:
    """No program that this process executes gains rights by it (Linux)."""
    _prctl(_NO_NEW_PRIVS, 1)


def stat(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: state, parent, group, session, …; None: not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()
    except OSError:
        return None


def boot() -> str:
    """Which start of the machine this is (Linux)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def birth(pid: int) -> str | None:
    """When this process was born; with its pid its identity, across reboots too. None: none, or a zombie."""
    if LINUX:
        fields = stat(pid)
        if fields is None or fields[0] in "ZX":
            return None
        return f"{boot()}:{fields[19]}"
    import subprocess  # only where there is no /proc

    shown = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    state, _, began = shown.partition(" ")
    return began.strip() if began and not state.startswith("Z") else None


def end_group(pid: int, born: str, user: int | None, patience: float = 5.0) -> bool:
    """Kill what is left of a group and session that this process led; True when nothing is left.

    While members live, the kernel gives their leader's number to nobody else: so when the number has a
    process with another birth, the group is gone and that process is a stranger. `user` is whose the
    members are (None: this process's); others are never touched.
    """
    if not born or (LINUX and born.partition(":")[0] != boot()):
        return True
    owner = os.geteuid() if user is None else user
    until = time.monotonic() + patience
    while True:
        now = birth(pid)
        if now is not None and now != born:
            return True
        members = _members(pid, owner) if LINUX else [pid] if now is not None else []
        if not members or time.monotonic() > until:
            return not members
        for one in members:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def _members(leader: int, owner: int) -> list[int]:
    """Who is of this group or session and of this user, zombies left out (Linux)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = stat(folder.name)
            try:
                if (
                    fields
                    and fields[0] not in "ZX"
                    and str(leader) in fields[2:4]
                    and folder.stat().st_uid == owner
                ):
                    found.append(int(folder.name))
            except OSError:
                pass  # it ended meanwhile
    return found


def children() -> list[int]:
    """The processes whose parent this one is, zombies too."""
    me = os.getpid()
    try:
        return [
            int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text(encoding="ascii").split()
        ]
    except OSError:
        pass
    if not LINUX:
        return []
    found = ((int(one.name), stat(one.name)) for one in Path("/proc").iterdir() if one.name.isdigit())
    return [pid for pid, fields in found if fields and fields[1] == str(me)]


def limit(kind: int, value: int) -> None:
    """Set a limit, no higher than the hard one."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
