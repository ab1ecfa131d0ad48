"""One bare repository for each repository elsewhere: what was fetched once is not fetched again."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import DeploydError, InputError, NotFound
from deployd.sources.address import check_ref, check_repository
from deployd.sources.git import Ended, expect, git
from deployd.sources.lock import locked
from deployd.sources.remote import check_credentials, configuration, failure, scrub, variables

__all__ = ["Commit", "Mirrors"]

LISTING_SECONDS = 60.0
"""After so long a question for a repository's names is given up."""
FETCHING_SECONDS = 300.0
"""After so long a fetch is given up."""
SLOW = "Check that this host can reach it. It is tried again."

COMMIT_ID = re.compile(r"[0-9a-f]{40}")
REFUSED = re.compile(
    r"unadvertised object|not our ref|no such remote ref|couldn't find remote ref", re.IGNORECASE
)
"""The server gives a commit only by the name of a branch or tag, or does not have it."""
BROKEN = re.compile(
    r"not a git repository: |bad object|corrupt|shallow file|index-pack|is empty$|unable to read|inflate"
    r"|invalid sha1 pointer|missing (blob|tree|commit|object)",
    re.IGNORECASE | re.MULTILINE,
)
"""What a mirror may say that a crash has spoiled. It is only a copy."""

WANTED = "refs/deployd/wanted"
TAKEN = "refs/deployd/taken"
EVERYTHING = ("+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*")
WHOLE_HISTORY = 2**31 - 1
HISTORY = "refs/deployd/history"
DEPTHS = (64, 1024)
"""Commits of a branch's past that are fetched to tell which of two came first, one after the other."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit in a mirror, for as long as the mirror is held."""

    mirror: Path
    id: str
    tree: str

    async def pack(self, base: Path, known: str | None) -> None:
        """Write the objects of the tree to `base`-….pack and .idx, less those of the tree `known`."""
        wanted = f"{self.tree}\n" + (f"^{known}\n" if known else "")
        feed, place = wanted.encode(), {"GIT_DIR": str(self.mirror)}
        await expect("pack-objects", "--revs", "-q", str(base), variables=place, feed=feed)

    async def taken(self) -> str | None:
        """The tree that was taken last, if any."""
        found = await git(
            "rev-parse", "-q", "--verify", f"{TAKEN}^{{tree}}", variables={"GIT_DIR": str(self.mirror)}
        )
        return found.output.decode().strip() or None

    async def take(self) -> None:
        """Remember that the tree was taken: the next one needs only what is new."""
        await expect("update-ref", TAKEN, self.id, variables={"GIT_DIR": str(self.mirror)})


class Mirrors:
    """Mirrors under a folder of their own; any number of processes may share it.

    Invariant: one git at a time works at a mirror, whichever process started it, so what lock files there
    are when the lock is had are those of the dead.
    """

    def __init__(self, home: Path, credentials: Path) -> None:
        """`credentials`: lines https://USER:TOKEN@HOST for git; the file need not exist."""
        self._home, self._credentials = home, credentials

    @asynccontextmanager
    async def commit(self, repository: str, ref: str | None) -> AsyncIterator[Commit]:
        """The commit that the ref is now, fetched; None is the default branch. Held to the context's end.

        A name is a branch before it is a tag. Raises InputError, NotFound with near names, Denied,
        Retryable, Terminal.
        """
        if ref is not None:
            check_ref(ref)
        async with self._mirror(repository) as mirror:
            try:
                found = await mirror.fetch(ref)
            except _BrokenMirror:
                shutil.rmtree(mirror.path)
                found = await mirror.fetch(ref)
            tree = await expect("rev-parse", f"{found}^{{tree}}", variables={"GIT_DIR": str(mirror.path)})
            yield Commit(mirror.path, found, tree.decode().strip())

    async def newer(
        self, repository: str, ref: str | None, commit: str, others: Iterable[str]
    ) -> frozenset[str]:
        """Those of the others that have `commit` in their past, as a bounded part of it says.

        Raises as `commit` does.
        """
        async with self._mirror(repository) as mirror:
            return await mirror.newer(ref, commit, set(others))

    @asynccontextmanager
    async def _mirror(self, repository: str) -> AsyncIterator[_Mirror]:
        check_repository(repository)
        check_credentials(self._credentials)
        self._home.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(repository.encode()).hexdigest()
        longest = LISTING_SECONDS + 2 * FETCHING_SECONDS
        async with locked(self._home / f"{name}.lock", longest, f"The mirror of {repository}") as held:
            os.utime(held)  # when it was last of use: who clears up asks for that
            yield _Mirror(self._home / f"{name}.git", repository, self._variables(), held)

    def _variables(self) -> dict[str, str]:
        """What git is told; its configuration is written anew where it changed."""
        config, wanted = self._home / "config", configuration(self._credentials)
        if not config.exists() or config.read_text(encoding="utf-8") != wanted:
            partial = config.with_suffix(f".{os.getpid()}")
            partial.write_text(wanted, encoding="utf-8")
            partial.replace(config)
        return variables(self._home, config)


class _BrokenMirror(DeploydError):
    """The mirror is not what it should be."""


@dataclass(frozen=True, slots=True)
class _Mirror:
    """One mirror, while its lock is held."""

    path: Path
    repository: str
    variables: dict[str, str]
    held: int

    async def fetch(self, ref: str | None) -> str:
        """Bring what the ref is now into the mirror; the commit's id."""
        await self._prepare()
        if ref is not None and COMMIT_ID.fullmatch(ref):
            return await self._fetch_commit(ref)
        full = await self._find(ref)
        self._expect(await self._git_fetch("--depth=1", f"+{full}:{WANTED}"))
        found = await self._local("rev-parse", "-q", "--verify", f"{WANTED}^{{commit}}")
        if found.status:
            raise InputError(
                f"{full} of {self.repository} is no commit.", remedy="Name a branch, or a tag of a commit."
            )
        return found.output.decode().strip()

    async def newer(self, ref: str | None, commit: str, others: set[str]) -> frozenset[str]:
        """Those that have `commit` in their past, told from as little of the ref's history as will do."""
        await self._prepare()
        full: str | None = None
        found: set[str] = set()
        for depth in (0, *DEPTHS):
            if depth:
                full = full or await self._find(ref)
                await self._deepen(depth, full, others)
            found |= {one for one in others - found if await self._reaches(one, commit)}
            others = {
                one
                for one in others - found
                if not (await self._reaches(commit, one) or await self._whole(commit, one))
            }
            if not others:
                break
        return frozenset(found)

    async def _deepen(self, depth: int, full: str, commits: set[str]) -> None:
        """So much of the past of the branch, and of commits that may not be on it any more."""
        deeper, branch = f"--depth={depth}", f"+{full}:{HISTORY}"
        ended = await self._git_fetch(deeper, branch, *sorted(commits))
        if ended.status and REFUSED.search(ended.said):
            ended = await self._git_fetch(deeper, branch)
        self._expect(ended)

    async def _reaches(self, commit: str, past: str) -> bool:
        return not (await self._local("merge-base", "--is-ancestor", past, commit)).status

    async def _whole(self, *commits: str) -> bool:
        """Whether all of their history is here."""
        roots = await self._local("rev-list", "--max-parents=0", *commits)
        shallow = self.path / "shallow"
        cut = shallow.read_text(encoding="ascii").split() if shallow.exists() else []
        return not roots.status and not set(roots.output.decode().split()) & set(cut)

    async def _prepare(self) -> None:
        """The mirror is there, and no lock of a git that was killed."""
        if not (self.path / "HEAD").exists():
            shutil.rmtree(self.path, ignore_errors=True)
            await expect("init", "-q", "--bare", "--template=", "--object-format=sha1", str(self.path))
            return
        for left in (*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")):
            left.unlink(missing_ok=True)
        for left in self.path.glob("objects/pack/tmp_*"):
            left.unlink(missing_ok=True)

    async def _fetch_commit(self, commit: str) -> str:
        """One commit by its id; where the server refuses that, all branches and tags with their history."""
        if not await self._has(commit):
            ended = await self._git_fetch("--depth=1", f"+{commit}:{WANTED}")
            if ended.status and REFUSED.search(ended.said):
                ended = await self._git_fetch(f"--depth={WHOLE_HISTORY}", *EVERYTHING)
            self._expect(ended)
        if not await self._has(commit):
            raise NotFound(
                f"{self.repository} has no commit {commit}.",
                remedy="Push it, or name another. " + _names(await self._list()),
            )
        await expect("update-ref", WANTED, commit, variables={"GIT_DIR": str(self.path)})
        return commit

    async def _has(self, commit: str) -> bool:
        return not (await self._local("cat-file", "-e", f"{commit}^{{commit}}")).status

    async def _find(self, ref: str | None) -> str:
        """The whole name of the branch or tag. Raises NotFound with near ones."""
        wanted: tuple[str, ...]
        if ref is None:
            wanted = ("HEAD",)
        elif ref.startswith("refs/") or ref == "HEAD":
            wanted = (ref,)
        else:
            wanted = (f"refs/heads/{ref}", f"refs/tags/{ref}")
        there = await self._list(*wanted)
        for one in wanted:
            if one in there:
                return one
        every = await self._list()
        if not every:
            raise NotFound(f"{self.repository} is empty.", remedy="Push a commit to it.")
        if ref is None:
            raise NotFound(
                f"{self.repository} has no default branch.", remedy="Name a branch. " + _names(every)
            )
        names = [_short(one) for one in every]
        near = difflib.get_close_matches(ref, names, n=3)
        whole = [tip for tip in sorted(set(every.values())) if len(ref) >= 4 and tip.startswith(ref)]
        raise NotFound(
            f"{self.repository} has no branch or tag {ref!r}.",
            remedy=f"Give the whole id: {whole[0]}."
            if whole
            else f"Did you mean {' or '.join(repr(one) for one in near)}?"
            if near
            else "A commit is named by all of its 40 digits. " + _names(every),
        )

    async def _list(self, *patterns: str) -> dict[str, str]:
        """What the repository has: whole names of branches and tags to ids."""
        listing = ("ls-remote", "-q", *(() if patterns else ("--heads", "--tags")))
        ended = await self._remote(LISTING_SECONDS, *listing, "--", self.repository, *patterns)
        self._expect(ended)
        lines = (line.split("\t", 1) for line in ended.output.decode(errors="replace").splitlines())
        return {line[1]: line[0] for line in lines if len(line) == 2 and not line[1].endswith("^{}")}

    async def _git_fetch(self, depth: str, *refs: str) -> Ended:
        fetching = ("fetch", "-q", depth, "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        return await self._remote(FETCHING_SECONDS, *fetching, "--", self.repository, *refs)

    async def _remote(self, seconds: float, *arguments: str) -> Ended:
        place = self.variables | {"GIT_DIR": str(self.path)}
        return await git(*arguments, variables=place, seconds=seconds, remedy=SLOW, held=self.held)

    async def _local(self, *arguments: str) -> Ended:
        return await git(*arguments, variables={"GIT_DIR": str(self.path)}, held=self.held)

    def _expect(self, ended: Ended) -> None:
        if not ended.status:
            return
        error = failure(self.repository, ended.said)
        if BROKEN.search(ended.said) and error.code == "TERMINAL":
            raise _BrokenMirror(f"{self.path} is broken.", evidence=scrub(ended.said)) from error
        raise error


def _short(name: str) -> str:
    return name.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _names(every: dict[str, str]) -> str:
    names = [_short(one) for one in every]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"It has: {', '.join(names[:10])}{more}." if names else ""
