"""What a tree may have in it to be deployed as what it is; whatever is wrong is told by its path."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import InputError
from deployd.model import entry as model
from deployd.sources.git import expect
from deployd.sources.link import leads_out

__all__ = ["check_tree", "entries", "legible", "nested"]

LINK, REPOSITORY = "120000", "160000"

POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_SIZES = range(100, 1025)
"""Bytes: its specification has pointers below 1024."""
POINTS = re.compile(rb"^[^#\n]*\bfilter=lfs\b", re.MULTILINE)
"""In .gitattributes."""
BATCH = 1000


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    id: str
    size: int
    path: str


async def entries(repository: Path, tree: str) -> list[model.Entry]:
    """All files and links of the tree, by path."""
    listed = await expect("ls-tree", "-r", "-z", tree, variables={"GIT_DIR": str(repository)})
    found = []
    for line in listed.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, oid = about.decode().split()
        found.append(model.Entry(os.fsdecode(path), mode, oid))
    return found


async def check_tree(
    repository: Path, tree: str, shown: str, inner: Callable[[str, str], InputError] | None = None
) -> None:
    """Refuse (InputError) a tree with submodules, links that lead out of it, or pointers of Git LFS.

    `inner` says what is wrong with a repository within, where that is not `submodule`.
    """
    listed = await expect("ls-tree", "-r", "-l", "-z", tree, variables={"GIT_DIR": str(repository)})
    entries = [_entry(line) for line in listed.split(b"\0")[:-1]]
    for entry in entries:
        if entry.mode == REPOSITORY:
            raise (inner or submodule)(shown, entry.path)
    await _check_links(repository, [one for one in entries if one.mode == LINK], shown)
    await _check_pointers(repository, entries, shown)


def _entry(line: bytes) -> _Entry:
    about, _, path = line.partition(b"\t")
    mode, _, identity, size = about.decode().split()
    return _Entry(mode, identity, 0 if size == "-" else int(size), os.fsdecode(path))


async def _check_links(repository: Path, entries: list[_Entry], shown: str) -> None:
    targets = await _contents(repository, entries)
    links = {one.path: os.fsdecode(targets[one.id]) for one in entries}
    for link, target in links.items():
        if leads_out(link, links):
            raise InputError(
                f"The link {legible(link)} in {shown} leads out of it, to {legible(target)}.",
                remedy="Put what it leads to into the directory, or name the link in .gitignore.",
            )


async def _check_pointers(repository: Path, entries: list[_Entry], shown: str) -> None:
    """Pointers are only looked for where some .gitattributes speaks of Git LFS."""
    attributes = [one for one in entries if one.path.rpartition("/")[2] == ".gitattributes"]
    if not any(map(POINTS.search, (await _contents(repository, attributes)).values())):
        return
    small = [one for one in entries if one.size in POINTER_SIZES]
    for begin in range(0, len(small), BATCH):
        batch = small[begin : begin + BATCH]
        contents = await _contents(repository, batch)
        for entry in batch:
            if contents[entry.id].startswith(POINTER):
                raise InputError(
                    f"{legible(entry.path)} in {shown} is a pointer of Git LFS, so its content is missing.",
                    remedy="Fetch the content (`git lfs pull`) and deploy the directory or push it, or keep "
                    "the file in git itself.",
                )


async def _contents(repository: Path, entries: list[_Entry]) -> dict[str, bytes]:
    """The contents of files and links, by their ids."""
    identities = sorted({one.id for one in entries})
    if not identities:
        return {}
    feed = "".join(f"{identity}\n" for identity in identities).encode()
    rest = memoryview(await expect("cat-file", "--batch", variables={"GIT_DIR": str(repository)}, feed=feed))
    found: dict[str, bytes] = {}
    for _ in identities:
        header = bytes(rest[:128]).partition(b"\n")[0]
        identity, _, size = header.decode().split()
        begin = len(header) + 1
        found[identity] = bytes(rest[begin : begin + int(size)])
        rest = rest[begin + int(size) + 1 :]
    return found


def submodule(shown: str, path: str) -> InputError:
    """What a tree has of another repository is the id of a commit alone."""
    path = legible(path)
    return InputError(
        f"{path} in {shown} is a git repository of its own (a submodule), so its files would be missing.",
        remedy=f"Keep the files of {path} in this repository, or deploy that repository by itself.",
    )


def nested(shown: str, path: str) -> InputError:
    """The same in a working directory, where its files are at hand."""
    path = legible(path)
    return InputError(
        f"{path} in {shown} is a git repository of its own, so its files would be missing.",
        remedy=f"Remove {path}/.git if its files belong to this directory, or name {path}/ in .gitignore.",
    )


def legible(path: Path | str) -> str:
    """The path as text that can be stored and sent, whatever its bytes are."""
    return os.fsencode(path).decode(errors="replace")
