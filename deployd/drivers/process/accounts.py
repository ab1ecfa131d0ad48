"""Users of this machine: one of its own for each service where deployd is root, and what it may reach."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from uuid import UUID

from deployd.drivers.process.shim.files import write_whole
from deployd.errors import Terminal

__all__ = ["FIRST", "LAST", "as_whom", "may_enter", "may_execute", "own_user"]

FIRST, LAST = 61_184, 65_519
"""Numbers that no distribution gives to people; they have no entry in /etc/passwd."""


def as_whom() -> bool:
    """Whether services get users of their own: only root can give them."""
    return os.geteuid() == 0


def own_user(table: Path, service_id: UUID, services: set[str]) -> int:
    """The service's user number, the same for ever. The caller holds the home's lock.

    `services` are those that still have a folder: when all numbers are given away, the others' return.
    Raises Terminal when none is left.
    """
    given: dict[str, int] = {}
    if table.exists():
        given = json.loads(table.read_text(encoding="utf-8"))
    key = str(service_id)
    if key in given:
        return given[key]
    if len(given) > LAST - FIRST:
        given = {name: number for name, number in given.items() if name in services}
    taken = set(given.values())
    count = LAST - FIRST + 1
    for step in range(count):
        number = FIRST + (service_id.int + step) % count
        if number not in taken and not _known(number):
            write_whole(table, json.dumps({**given, key: number}), durable=True)
            return number
    raise Terminal(
        f"there is no user number left for another service: {FIRST} to {LAST} are all given",
        remedy=f"Remove the folders of services that are long gone below {table.parent}.",
    )


def _known(number: int) -> bool:
    """Whether somebody else has this number by name."""
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def may_enter(folder: Path, user: int | None) -> Path | None:
    """The first folder on the way to this one (or itself) that the user cannot enter; None where all can be.

    `user` None is deployd's own.
    """
    for way in dict.fromkeys(
        (*reversed(folder.parents), folder, *reversed(folder.resolve().parents), folder.resolve())
    ):
        if not way.is_dir() or not _may(way, user, 1):
            return way
    return None


def may_execute(file: Path, user: int | None) -> bool:
    """Whether the user can execute this file, its folders included."""
    return (
        file.is_file()
        and _may(file, user, 1)
        and may_enter(file.parent, user) is None
        and may_enter(file.resolve().parent, user) is None
    )


def _may(path: Path, user: int | None, bit: int) -> bool:
    """Mode bits for a user without groups (1: enter or execute, 4: read)."""
    if user is None:
        return os.access(path, bit)
    try:
        seen = path.stat()
    except OSError:
        return False
    if seen.st_uid == user:
        return bool(seen.st_mode >> 6 & bit)
    if seen.st_gid == user:
        return bool(seen.st_mode >> 3 & bit)
    return bool(seen.st_mode & bit)
