"""Users of this machine: one of its own for each service where deployd is root, and what it may reach."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from deployd.drivers.process.shim.files import write_whole
from deployd.errors import Terminal

__all__ = ["FIRST", "LAST", "as_whom", "known_user", "may_enter", "may_execute", "own_user"]

FIRST, LAST = 61_184, 65_519
"""Numbers that no distribution gives to people; they have no entry in /etc/passwd."""


def as_whom() -> bool:
    """Whether services get users of their own: only root can give them."""
    return os.geteuid() == 0


def known_user(table: Path, service_id: UUID) -> int | None:
    """The number that the service has already, which needs no lock: the table is only replaced as a whole."""
    return _given(table).get(str(service_id))


def own_user(table: Path, service_id: UUID, services: Callable[[], set[str]]) -> int:
    """The service's user number, the same for ever. The caller holds the home's lock.

    `services` are those that still have a folder: when all numbers are given away, the others' return.
    Raises Terminal when none is left.
    """
    given = _given(table)
    key = str(service_id)
    if key in given:
        return given[key]
    if len(given) > LAST - FIRST:
        there = services()
        given = {name: number for name, number in given.items() if name in there}
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


def _given(table: Path) -> dict[str, int]:
    try:
        given: dict[str, int] = json.loads(table.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return given


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
    real = folder.resolve()
    ways = [*reversed(folder.parents), folder]
    if real != folder:
        ways += (*reversed(real.parents), real)
    return next((way for way in dict.fromkeys(ways) if not _may(way, user, 1, folder=True)), None)


def may_execute(file: Path, user: int | None) -> bool:
    """Whether the user can execute this file, its folders included."""
    return (
        _may(file, user, 1, folder=False)
        and may_enter(file.parent, user) is None
        and may_enter(file.resolve().parent, user) is None
    )


def _may(path: Path, user: int | None, bit: int, *, folder: bool) -> bool:
    """Whether it is a folder, or a file, and has these mode bits for a user without groups (1: execute)."""
    try:
        seen = path.stat()
    except OSError:
        return False
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(seen.st_mode):
        return False
    if user is None:
        return os.access(path, bit)
    if seen.st_uid == user:
        return bool(seen.st_mode >> 6 & bit)
    if seen.st_gid == user:
        return bool(seen.st_mode >> 3 & bit)
    return bool(seen.st_mode & bit)
