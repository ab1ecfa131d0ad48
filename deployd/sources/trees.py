"""Content-addressed snapshots of working directories: git trees in one repository of deployd's own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import BaseUnknown, DeploydError, InputError, NotFound, Retryable, Terminal
from deployd.model.entry import Entry
from deployd.sources.archive import check_paths, unpack
from deployd.sources.contents import check_tree, entries, legible, nested
from deployd.sources.git import Ended, expect, git
from deployd.sources.lock import locked
from deployd.sources.mirrors import Mirrors

__all__ = ["Delta", "Fetched", "Trees", "readable"]

TREE_ID = re.compile(r"[0-9a-f]{40}")
INCOMPLETE = re.compile(r"^(warning|error): (could not open|unable to access|open\()", re.MULTILINE)
"""git goes on after some of these, and the files would be missing from the tree."""
OUR_DISK = re.compile(r"No space left on device|Disk quota exceeded|repository database|unable to write")
"""It is deployd's own folder that cannot be written to."""
NO_COMMIT = re.compile(r"^error: '(.+?)/?' does not have a commit checked out", re.MULTILINE)

ATTRIBUTES = "* -text -eol -crlf -ident -filter -working-tree-encoding -export-ignore -export-subst\n"
"""In $GIT_DIR/info they overrule the .gitattributes of a tree: files come out as the bytes that went in."""

LOOKS = 4
"""At a directory whose files move; what is written to all the time is then taken as it is."""

UNFINISHED = "unfinished-"
UNFINISHED_SECONDS = 3600
"""What is unfinished for so long belongs to nobody alive: a git command has two minutes."""
CLEARING_SECONDS = 900.0
"""For so long at most is waited for whoever clears up."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a branch, tag or commit was when it was fetched."""

    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class Delta:
    """What leads from one tree to another."""

    tree: str
    """Of the files that are new or different."""
    changed: int
    """How many those are."""
    removed: tuple[str, ...]
    """The paths that are gone."""


class Trees:
    """Snapshots under a folder of its own; any number of processes may share it.

    Nothing below `home` is trusted to be complete but what was renamed into its place: `trees.git`,
    `trees/<id>`, and `indexes/<directory>`, which only make the next snapshot quick. `used/<id>` says by its
    time when somebody last asked for a tree. Whoever adds something holds `trees.lock` together with others,
    and who clears up (clearing.py) holds it alone.
    """

    def __init__(self, home: Path) -> None:
        """`home` is DEPLOYD_HOME/sources; it may not exist yet."""
        self.home = self._home = home.absolute()
        self._repository = self._home / "trees.git"
        self._trees = self._home / "trees"
        self._indexes = self._home / "indexes"
        self._used = self._home / "used"
        self._mirrors = Mirrors(self._home / "mirrors", self._home.parent / "git-credentials")

    async def snapshot(self, directory: Path) -> str:
        """The git tree id of the directory's files as they are now, less what its .gitignore names.

        Raises InputError where files cannot be read or would not be what they are: a repository within,
        a link that leads out. Each file is as it was at one moment, unless it is written to all the time.
        """
        root = readable(directory)
        await self._prepare()
        saved = self._indexes / hashlib.sha256(os.fsencode(root)).hexdigest()
        async with self._workshop() as workshop:
            index = workshop / "index"
            variables = self._variables(index) | {"GIT_WORK_TREE": str(root)}
            if saved.exists():
                # With its time: by it git knows which files may have changed within the clock's tick.
                shutil.copy2(saved, index)
            await self._index(root, variables)
            tree = (await expect("write-tree", variables=variables)).decode().strip()
            await check_tree(self._repository, tree, legible(root), nested)
            index.replace(saved)
            self._use(tree)
        return tree

    async def fetch(self, repository: str, ref: str | None) -> Fetched:
        """The commit that a branch, tag or commit id is now, and its tree, which is kept here from now on.

        Raises what Mirrors.commit raises, and InputError for a tree that would not be what it is here.
        """
        await self._prepare()
        async with self._mirrors.commit(repository, ref) as commit, self._workshop() as workshop:
            if not await self._knows(commit.tree):
                known = await commit.taken()
                await commit.pack(workshop / "pack", known if known and await self._knows(known) else None)
                self._adopt(workshop)
            await commit.take()
            self._use(commit.tree)
        await check_tree(self._repository, commit.tree, f"{repository} at {ref or commit.id}")
        return Fetched(commit.id, commit.tree)

    async def newer(
        self, repository: str, ref: str | None, commit: str, others: Iterable[str]
    ) -> frozenset[str]:
        """Those of the other commits that have `commit` in their past, as far as that can be told.

        Raises Retryable when the repository cannot be reached now.
        """
        try:
            return await self._mirrors.newer(repository, ref, commit, others)
        except Retryable:
            raise
        except DeploydError:  # the branch is gone, nobody lets us in: no answer will come
            return frozenset()

    async def unpack(
        self, content: AsyncIterable[bytes], base: str | None = None, removed: Sequence[str] = ()
    ) -> str:
        """The tree id of the files in a tar.gz, all of them; nothing is ignored.

        With a `base` they are put on top of that tree, from which `removed` files go first (those that are
        not there are no error). Raises InputError for an archive that is none, is too large, or has what
        cannot be deployed; BaseUnknown.
        """
        check_paths(removed)
        await self._prepare()
        async with self._workshop() as workshop:
            if base is not None and not (TREE_ID.fullmatch(base) and await self._knows(base)):
                raise BaseUnknown(
                    f"The tree {base} that the upload changes is not here.", remedy="Upload all files."
                )
            archive, files = workshop / "archive", workshop / "files"
            with archive.open("wb") as file:
                async for part in content:
                    file.write(part)
            files.mkdir()
            await unpack(archive, files)
            variables = self._variables(workshop / "index") | {"GIT_WORK_TREE": str(files)}
            check(files, await git("add", "--all", "--force", "--", ":(top)", variables=variables))
            tree = (await expect("write-tree", variables=variables)).decode().strip()
            if base is not None:
                tree = await self._composed(base, removed, await entries(self._repository, tree))
            await check_tree(self._repository, tree, "the upload")
            self._use(tree)
        return tree

    async def entries(self, tree: str) -> list[Entry]:
        """All files and links of a tree that is here, by path."""
        return await entries(self._repository, tree)

    async def delta(self, base: str, tree: str) -> Delta:
        """What has to be unpacked on top of `base` to come to `tree`; both are here."""
        before = {one.path: one for one in await self.entries(base)}
        after = {one.path: one for one in await self.entries(tree)}
        changed = [one for path, one in after.items() if before.get(path) != one]
        removed = tuple(path for path in before if path not in after)
        return Delta(await self._composed(None, (), changed), len(changed), removed)

    async def _composed(self, base: str | None, removed: Iterable[str], added: Iterable[Entry]) -> str:
        """The base, if any, less what is removed, and on top what is added (a file for a folder, too)."""
        gone = [f"0 {'0' * 40}\t{path}" for path in removed]
        new = [f"{one.mode} {one.oid}\t{one.path}" for one in added]
        feed = b"".join(os.fsencode(line) + b"\0" for line in (*gone, *new))
        async with self._workshop() as workshop:
            variables = self._variables(workshop / "index")
            await expect("read-tree", base or "--empty", variables=variables)
            await expect("update-index", "-z", "--index-info", variables=variables, feed=feed)
            return (await expect("write-tree", variables=variables)).decode().strip()

    async def archive(self, tree: str, file: Path) -> None:
        """Write the tree as a tar.gz, for `unpack`."""
        writing = ("-c", "tar.umask=0022", "archive", "--format=tar.gz", "-o", str(file), tree)
        await expect(*writing, variables={"GIT_DIR": str(self._repository)})

    async def checkout(self, tree: str) -> Path:
        """A folder with exactly that tree, made once; readable by everybody, and not to be written to.

        Raises InputError for what is no tree id, NotFound for one that was never taken here.
        """
        if not TREE_ID.fullmatch(tree):
            raise InputError(f"{tree!r} is no git tree id.", remedy="Give 40 hexadecimal digits.")
        folder = self._trees / tree
        if folder.is_dir():
            return folder
        await self._prepare()
        async with self._workshop() as workshop:
            variables = self._variables(workshop / "index")
            if not await self._knows(tree):
                raise NotFound(f"There is no snapshot {tree} on this host.", remedy="Deploy again.")
            made = workshop / "tree"
            made.mkdir()
            made.chmod(0o755)
            await expect("read-tree", tree, variables=variables)
            await expect(
                "checkout-index",
                "-a",
                f"--prefix={made}/",
                variables=variables | {"GIT_WORK_TREE": str(made)},
            )
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another was quicker; theirs is the same
                    raise
        return folder

    async def _knows(self, tree: str) -> bool:
        """Whether the tree is here, and with it (since each came whole) all that is in it."""
        known = await git("cat-file", "-t", tree, variables={"GIT_DIR": str(self._repository)})
        return not known.status and known.output.strip() == b"tree"

    def _adopt(self, workshop: Path) -> None:
        """Move a pack into the repository; it counts from the moment its index is there."""
        packs = self._repository / "objects" / "pack"
        for suffix in (".pack", ".rev", ".idx"):
            for made in workshop.glob(f"pack-*{suffix}"):
                made.replace(packs / made.name)

    async def _prepare(self) -> None:
        """Make the repository, once."""
        for folder in (self._home, self._trees, self._indexes, self._used):
            folder.mkdir(parents=True, exist_ok=True)
        self._trees.chmod(0o755)
        self._sweep()
        if self._repository.is_dir():
            return
        async with self._workshop() as workshop:
            made = workshop / "trees.git"
            await expect(
                "init", "-q", "--bare", "--template=", "--object-format=sha1", "-b", "trees", str(made)
            )
            (made / "info").mkdir(exist_ok=True)
            (made / "info" / "attributes").write_text(ATTRIBUTES, encoding="utf-8")
            try:
                made.rename(self._repository)
            except OSError:
                if not self._repository.is_dir():
                    raise

    def _sweep(self) -> None:
        """Remove what processes left that died at work."""
        for left in self._home.glob(f"{UNFINISHED}*"):
            try:
                old = time.time() - left.stat().st_mtime > UNFINISHED_SECONDS
            except FileNotFoundError:
                continue
            if old:
                shutil.rmtree(left, ignore_errors=True)

    @asynccontextmanager
    async def _workshop(self) -> AsyncIterator[Path]:
        """A folder for what is not finished, on the same file system; meanwhile nobody clears up."""
        lock = self._home / "trees.lock"
        async with locked(lock, CLEARING_SECONDS, "Clearing up the sources", shared=True):
            workshop = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._home))
            try:
                yield workshop
            finally:
                shutil.rmtree(workshop, ignore_errors=True)

    def _use(self, tree: str) -> None:
        """Somebody has asked for it now: it stays, until whoever asked has it on record."""
        (self._used / tree).touch()

    def _variables(self, index: Path) -> dict[str, str]:
        return {"GIT_DIR": str(self._repository), "GIT_INDEX_FILE": str(index)}

    async def _index(self, root: Path, variables: dict[str, str]) -> None:
        """Bring the index in line with the directory, and see that nothing was written meanwhile.

        git looks at a file and then reads it: of one that is replaced or written in between it has a part.
        """
        for _ in range(LOOKS):
            added = await self._add(root, variables)
            if added.status or await self._tracks_ignored(variables):
                # A file that vanished meanwhile, an index that a crash spoiled, or one that knows files from
                # before .gitignore named them: once more, from nothing.
                _remove(variables["GIT_INDEX_FILE"])
                added = await self._add(root, variables)
            check(root, added)
            moved = await git("diff-files", "--quiet", "--ignore-submodules", variables=variables)
            if not moved.status:
                return

    async def _add(self, root: Path, variables: dict[str, str]) -> Ended:
        """Bring the index in line with the directory; deployd's own home within it is left out."""
        home = self._home.resolve()
        own = next((one for one in (home.parent, home) if root in one.parents), None)
        left_out = [f":(top,exclude,literal){own.relative_to(root)}"] if own else []
        return await git("add", "--all", "--", ":(top)", *left_out, variables=variables)

    async def _tracks_ignored(self, variables: dict[str, str]) -> bool:
        """Whether the index has files that a new one would not have."""
        listing = ("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
        return bool(await expect(*listing, variables=variables))


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def readable(directory: Path) -> Path:
    """The directory without links; InputError where it is none, or may not be read."""
    try:
        root = directory.resolve(strict=True)
        inside = root.is_dir() and os.access(root, os.R_OK | os.X_OK)
        evidence = "" if inside else "not a directory" if not root.is_dir() else "permission denied"
    except (OSError, RuntimeError) as error:
        inside, evidence = False, str(error)
    if not inside:
        raise InputError(
            f"{legible(directory)} is no directory that deployd can read.",
            remedy="Name an existing directory, and let the user that runs deployd read it.",
            evidence=evidence,
        )
    return root


def check(root: Path, added: Ended) -> None:
    """Refuse a directory whose files did not all get into the index."""
    if found := NO_COMMIT.search(added.said):
        raise nested(legible(root), found.group(1))
    if OUR_DISK.search(added.said):
        raise Terminal(
            "The snapshot cannot be written to deployd's home.",
            remedy="Make room on its disk, and let the user that runs deployd write there.",
            evidence=added.said,
        )
    if added.status or INCOMPLETE.search(added.said):
        raise InputError(
            f"The files in {legible(root)} cannot be read.",
            remedy="Let the user that runs deployd read them, or name them in .gitignore.",
            evidence=added.said,
        )
