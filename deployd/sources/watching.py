"""Edits of a working directory as bursts: what an editor, a build or `git checkout` changed at once."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path

from deployd.errors import InputError, NotFound
from deployd.sources.contents import legible
from deployd.sources.git import expect, git
from deployd.sources.trees import readable

__all__ = ["EVERYTHING", "bursts"]

QUIET = 0.2
"""Seconds without a change by which a burst ends."""
LONGEST = 2.0
"""Seconds after which a burst is told though it goes on."""
LOOK = 1.0
"""Seconds between two looks at whether the folder is still there."""
COMING_BACK = 2.0
"""Seconds for which a folder may be away: some programs replace it."""
EVERYTHING = "."
"""Stands for all paths: the folder was replaced by another one."""


async def bursts(directory: Path, left_out: Iterable[Path] = ()) -> AsyncGenerator[frozenset[str]]:
    """The paths (relative to the folder) that changed, burst by burst, for as long as it is iterated.

    What a .gitignore covers, `.git` and what lies below the folders that are `left_out` disturbs nobody.
    Close it in the task that iterates it. Raises NotFound once the folder is gone, InputError where it
    cannot be read or watched.
    """
    root = readable(directory)
    out = [one.resolve() for one in left_out]
    with tempfile.TemporaryDirectory(prefix="deployd-watch-") as place:
        rules = Path(place) / "rules.git"
        await expect("init", "-q", "--bare", "--template=", str(rules))
        while True:
            async with aclosing(_changes(root)) as changes:
                async for paths in changes:
                    inside = await asyncio.to_thread(_inside, root, out, paths)
                    if inside and (noticed := await _not_ignored(root, rules, inside)):
                        yield frozenset(noticed)
            until = asyncio.get_running_loop().time() + COMING_BACK
            while _identity(root) is None:
                if asyncio.get_running_loop().time() > until:
                    raise NotFound(
                        f"The folder {legible(root)} is gone, so it is not watched any more.",
                        remedy="Begin again in the folder that is there now.",
                    )
                await asyncio.sleep(QUIET / 2)
            yield frozenset((EVERYTHING,))


async def _changes(root: Path) -> AsyncGenerator[set[str]]:
    """Absolute paths, until the folder at this path is another one, or none."""
    from watchfiles import awatch

    known = _identity(root)
    watching = awatch(
        root,
        watch_filter=None,
        debounce=int(LONGEST * 1000),
        step=int(QUIET * 1000),
        rust_timeout=int(LOOK * 1000),
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    async with aclosing(watching):
        try:
            async for changes in watching:
                if _identity(root) != known:
                    return
                if changes:
                    yield {path for _, path in changes}
        except FileNotFoundError:
            return
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{legible(root)} cannot be watched.",
                remedy="Raise this host's limit of watched folders (fs.inotify.max_user_watches), or go on "
                "without watching.",
                evidence=str(error),
            ) from error


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        seen = root.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _inside(root: Path, left_out: Sequence[Path], paths: Iterable[str]) -> list[str]:
    """Those within the folder as a snapshot has them: not by ways through links, nothing of git's own."""
    folders: dict[str, Path] = {}
    found: set[str] = set()
    for path in paths:
        parent, name = os.path.split(path)
        if parent not in folders:
            folders[parent] = Path(os.path.realpath(parent))
        real = folders[parent] / name
        if any(real.is_relative_to(one) for one in left_out) or not real.is_relative_to(root):
            continue
        relative = real.relative_to(root)
        if relative.parts and ".git" not in relative.parts:
            # Of what is gone it is not known whether it was a folder: rules for folders cover it too.
            found.add(str(relative) if os.path.lexists(real) else f"{relative}/")
    return sorted(found)


async def _not_ignored(root: Path, rules: Path, paths: Sequence[str]) -> list[str]:
    """Those that no .gitignore of the folder covers; all, where git cannot say."""
    variables = {"GIT_DIR": str(rules), "GIT_WORK_TREE": str(root)}
    feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    asked = await git("check-ignore", "-z", "--stdin", "--no-index", variables=variables, feed=feed)
    ignored = set(map(os.fsdecode, asked.output.split(b"\0")))
    return [path.rstrip("/") for path in paths if path not in ignored]
