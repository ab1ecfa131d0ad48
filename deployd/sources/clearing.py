"""Letting go of trees that nothing refers to, and of mirrors that nobody asks for; packing what stays.

Invariant: what is in the repository of trees afterwards is whole: the trees that are kept, with all that is
in them, and nothing else. It is so because nobody adds or reads meanwhile (trees.lock), and a tree that
somebody asked for lately is kept until whoever asked has it on record.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import Retryable
from deployd.sources.git import expect, git
from deployd.sources.lock import locked

__all__ = ["Cleared", "clear_mirrors", "clear_trees"]

GRACE = 2 * 86400.0
"""Seconds for which a tree stays that somebody asked for, whether or not anything refers to it."""
PATIENCE = 5.0
"""Seconds for which those who work are waited for; then it is left for another time."""
PACKING_SECONDS = 600.0
"""After so long, packing is given up; nothing is lost by that."""
LOOSE, PACKS = 1000, 10
"""Loose objects, and packs, from which on a repository is packed anew."""
REFS = "refs/trees/"
GONE = "unfinished-gone-"
"""Whoever prepares the trees' folder removes what begins so and is old."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What went, or would."""

    trees: int = 0
    """Snapshots, with all that nothing else has of them."""
    folders: int = 0
    """Of these, those that were laid out as files."""
    mirrors: int = 0


async def clear_trees(home: Path, referred: Collection[str], *, dry_run: bool = False) -> Cleared:
    """Keep what is referred to, and what was asked for within GRACE. `home` is that of Trees.

    Raises Retryable where others work for too long.
    """
    repository = home / "trees.git"
    if not repository.is_dir():
        return Cleared()
    async with locked(home / "trees.lock", PATIENCE, "The folder of sources"):
        old = time.time() - GRACE
        marks = {one.name: one.stat().st_mtime for one in _files(home / "used")}
        roots = {*referred, *(name for name, at in marks.items() if at > old)}
        folders = [one for one in _files(home / "trees") if one.name not in roots]
        there = await _trees_of(repository, roots)
        before = await _refs(repository)
        gone = (before | marks.keys() | {one.name for one in folders}) - roots
        if dry_run:
            return Cleared(len(gone), len(folders))
        doomed = [_set_aside(home, one) for one in folders]
        for index in _files(home / "indexes"):  # it may speak of objects that go
            if index.stat().st_mtime < old:
                index.unlink(missing_ok=True)
        await _set_refs(repository, there, before)
        if not before or before - there or await _is_scattered(repository):
            await _pack(repository)
        for name in marks.keys() - roots:
            (home / "used" / name).unlink(missing_ok=True)
    await asyncio.to_thread(_remove, doomed)
    return Cleared(len(gone), len(folders))


async def clear_mirrors(home: Path, age: float, *, dry_run: bool = False) -> Cleared:
    """Remove those that nobody asked for in `age` seconds; pack others. One that is busy is left alone."""
    mirrors, gone = home / "mirrors", 0
    for lock in [one for one in _files(mirrors) if one.suffix == ".lock"]:
        repository = lock.with_suffix(".git")
        if not repository.is_dir():
            continue
        try:
            async with locked(lock, 0, "The mirror"):
                over = lock.stat().st_mtime < time.time() - age
                gone += over
                if dry_run:
                    continue
                if over:
                    await asyncio.to_thread(_remove, [_set_aside(home, repository)])
                elif await _is_scattered(repository):
                    await _pack(repository)
        except Retryable:
            continue  # somebody works at it, or it is large: another time
    return Cleared(mirrors=gone)


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _set_aside(home: Path, folder: Path) -> Path:
    """At once: nobody finds half of it."""
    return folder.rename(home / f"{GONE}{folder.name}-{time.monotonic_ns()}")


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


async def _trees_of(repository: Path, names: Iterable[str]) -> set[str]:
    """Those of them that are here."""
    feed = "".join(f"{name}\n" for name in sorted(names)).encode()
    asking = ("cat-file", "--batch-check=%(objectname) %(objecttype)")
    said = (await expect(*asking, variables={"GIT_DIR": str(repository)}, feed=feed)).decode()
    return {line.split()[0] for line in said.splitlines() if line.endswith(" tree")}


async def _refs(repository: Path) -> set[str]:
    listing = ("for-each-ref", "--format=%(refname)", REFS)
    said = (await expect(*listing, variables={"GIT_DIR": str(repository)})).decode()
    return {line.removeprefix(REFS) for line in said.split()}


async def _set_refs(repository: Path, wanted: set[str], there: set[str]) -> None:
    lines = [f"create {REFS}{one} {one}\n" for one in sorted(wanted - there)]
    lines += [f"delete {REFS}{one}\n" for one in sorted(there - wanted)]
    if lines:
        place = {"GIT_DIR": str(repository)}
        await expect("update-ref", "--stdin", variables=place, feed="".join(lines).encode())
        await expect("pack-refs", "--all", variables=place)


async def _is_scattered(repository: Path) -> bool:
    said = (await expect("count-objects", "-v", variables={"GIT_DIR": str(repository)})).decode()
    counted = dict(line.split(": ", 1) for line in said.splitlines())
    return int(counted["count"]) > LOOSE or int(counted["packs"]) > PACKS


async def _pack(repository: Path) -> None:
    """One pack of all that refs lead to; everything else goes."""
    place = {"GIT_DIR": str(repository)}
    for command in (("repack", "-a", "-d", "-q"), ("prune", "--expire=now")):
        ended = await git(*command, variables=place, seconds=PACKING_SECONDS, remedy="It is tried again.")
        if ended.status:
            raise Retryable(f"git {command[0]} failed in {repository}", evidence=ended.said)
