"""Unpacking an archive that a stranger made: plain files, folders and links within, and nothing else."""

from __future__ import annotations

import asyncio
import errno
import os
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path

from deployd.errors import InputError, Terminal
from deployd.sources.link import leads_out
from deployd.sources.tape import Member, Tape

__all__ = ["UPLOAD_MAXIMUM", "check_paths", "unpack"]

UPLOAD_MAXIMUM = 256 * 1024**2
"""Bytes of an archive."""
UNPACKED_MAXIMUM = 1024**3
"""Bytes of all files together."""
ENTRIES_MAXIMUM = 100_000
"""Files, links and folders, also those that are only named as part of a path."""
NAME_MAXIMUM, PATH_MAXIMUM, TARGET_MAXIMUM = 255, 2048, 2048
"""Bytes."""

LEAVE_OUT = "Leave it out of the archive."
KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


async def unpack(archive: Path, folder: Path) -> None:
    """Unpack the tar.gz into the empty folder. Raises InputError, Terminal where the disk is full.

    A cancelled task waits until the thread that unpacks has noticed, so that nobody writes to the folder
    once this has ended. What was unpacked by then is left for the caller to remove.
    """
    stop = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(_Unpacking(folder, stop).run, archive))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([working])
        if not working.cancelled():
            working.exception()  # looked at, so that nobody complains
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Terminal(
            "The upload cannot be unpacked in deployd's home.",
            remedy="Make room on its disk.",
            evidence=str(error),
        ) from error


def check_paths(paths: Sequence[str]) -> None:
    """Raise InputError where one of these is no path of a file within a tree."""
    if len(paths) > ENTRIES_MAXIMUM:
        raise InputError(f"{len(paths)} paths are too many.", remedy="Upload everything instead.")
    for path in paths:
        if _path(path) != path or not path:
            raise _refused(path, "is not the plain path of a file")


class _Stopped(Exception):
    """Nobody waits for it any more."""


class _Unpacking:
    """One archive's way into a folder. Every folder in it is made here, so no path leads through a link."""

    def __init__(self, folder: Path, stop: threading.Event) -> None:
        self._folder, self._stop = folder, stop
        self._folders: set[str] = set()
        self._others: set[str] = set()
        self._links: dict[str, str] = {}
        self._bytes = 0

    def run(self, archive: Path) -> None:
        """All of it."""
        with Tape(archive) as tape:
            for member in tape.members():
                self._take(member, tape)
        for link, target in self._links.items():
            if leads_out(link, self._links):
                raise InputError(
                    f"The link {link} in the upload leads out of it, to {target}.", remedy=LEAVE_OUT
                )

    def _take(self, member: Member, tape: Tape) -> None:
        path = _path(member.name)
        if kind := KINDS.get(member.type):
            raise _refused(path or member.name, f"is {kind}")
        if member.type == tarfile.DIRTYPE:
            if path in self._others:
                raise _refused(path, "is there twice")
            self._make(path)
            return
        if not path:
            raise _refused(member.name, "has no name")
        if path in self._others or path in self._folders:
            raise _refused(path, "is there twice")
        self._make(path.rpartition("/")[0])
        self._others.add(path)
        self._count()
        if member.type == tarfile.SYMTYPE:
            self._link(path, member.target)
        elif member.type in tarfile.REGULAR_TYPES:
            self._write(path, member, tape)
        else:
            raise _refused(path, f"is of an unknown kind {member.type!r}")

    def _make(self, path: str) -> None:
        """The folder and those above it."""
        made = ""
        for name in path.split("/") if path else ():
            made = f"{made}/{name}" if made else name
            if made in self._folders:
                continue
            if made in self._others:
                raise _refused(path, f"is below {made}, which is no folder")
            (self._folder / made).mkdir()
            self._folders.add(made)
            self._count()

    def _count(self) -> None:
        if self._stop.is_set():
            raise _Stopped
        if len(self._folders) + len(self._others) > ENTRIES_MAXIMUM:
            raise InputError(
                f"The upload has more than {ENTRIES_MAXIMUM} files and folders.",
                remedy="Name those that the services do not need in .gitignore.",
            )

    def _link(self, path: str, target: str) -> None:
        if not target or "\0" in target or len(target.encode()) > TARGET_MAXIMUM:
            raise _refused(path, "is a link to nothing that can be")
        (self._folder / path).symlink_to(target)
        self._links[path] = target

    def _write(self, path: str, member: Member, tape: Tape) -> None:
        self._bytes += member.size
        if self._bytes > UNPACKED_MAXIMUM:
            raise InputError(
                f"The upload is more than {UNPACKED_MAXIMUM} bytes once unpacked; {path} is beyond that.",
                remedy="Name what the services do not need in .gitignore.",
            )
        mode = 0o755 if member.mode & 0o100 else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(self._folder / path, flags, mode), "wb") as file:
            for part in tape.content():
                if self._stop.is_set():
                    raise _Stopped
                file.write(part)
            os.fchmod(file.fileno(), mode)


def _path(name: str) -> str:
    """The name without `.` and doubled slashes; empty for the root."""
    if name.startswith("/"):
        raise _refused(name, "has an absolute path")
    if "\0" in name or len(name.encode()) > PATH_MAXIMUM:
        raise _refused(name, "has too long a path, or a malformed one")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    for part in parts:
        if part == "..":
            raise _refused(name, "leads out of it by `..`")
        if len(part.encode()) > NAME_MAXIMUM:
            raise _refused(name, "has too long a name")
        if part.lower() == ".git":
            raise _refused(name, "belongs to a git repository, which cannot be in a release")
    return "/".join(parts)


def _refused(name: str, why: str) -> InputError:
    shown = name if len(name) <= 255 else f"{name[:252]}…"
    return InputError(f"{shown!r} in the upload {why}.", remedy=LEAVE_OUT)
