"""Real edits of real folders, as editors, builds and git make them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deployd.errors import InputError, NotFound
from deployd.sources.watching import EVERYTHING, bursts
from tests.integration.sources import repositories

SECONDS = 20.0


class Watched:
    """A folder, and the bursts of it that were told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bursts: asyncio.Queue[frozenset[str]] = asyncio.Queue()
        self.task: asyncio.Task[None]

    async def collect(self, left_out: list[Path]) -> None:
        stream = bursts(self.path, left_out)
        try:
            async for one in stream:
                self.bursts.put_nowait(one)
        finally:
            await stream.aclose()

    async def until(self, path: str) -> list[frozenset[str]]:
        """The bursts up to the one that has the path."""
        found: list[frozenset[str]] = []
        async with asyncio.timeout(SECONDS):
            while not found or path not in found[-1]:
                found.append(await self.bursts.get())
        return found

    async def told(self, number: int) -> set[str]:
        """Everything that was told before a file of this number, which is made now."""
        (self.path / f"mark-{number}").write_text("x")
        told = set().union(*await self.until(f"mark-{number}"))
        return {one for one in told if not one.startswith("mark-")}


@asynccontextmanager
async def watching(path: Path, *left_out: Path) -> AsyncIterator[Watched]:
    """Once it really watches."""
    watched = Watched(path)
    watched.task = asyncio.create_task(watched.collect(list(left_out)))
    try:
        async with asyncio.timeout(SECONDS):
            while watched.bursts.empty() and not watched.task.done():
                (path / "mark-first").write_text(str(asyncio.get_running_loop().time()))
                await asyncio.sleep(0.3)
        (path / "mark-ready").write_text("x")
        await watched.until("mark-ready")
        yield watched
    finally:
        watched.task.cancel()
        await asyncio.gather(watched.task, return_exceptions=True)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    folder = tmp_path / "folder"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("1")
    (folder / ".gitignore").write_text("build/\n*.log\n!keep.log\n")
    async with watching(folder) as one:
        yield one


async def test_edits_are_told_once_and_by_their_paths(watched: Watched):
    (watched.path / "src" / "a.py").write_text("2")
    (watched.path / "src" / "new").mkdir()
    (watched.path / "src" / "new" / "b.py").write_text("1")
    assert {"src/a.py", "src/new"} <= await watched.told(1)
    (watched.path / "src" / "new" / "b.py").write_text("2")
    assert await watched.told(2) == {"src/new/b.py"}
    assert watched.bursts.empty()


async def test_editors_that_rename_delete_and_make_anew(watched: Watched):
    for number in range(3):
        written = watched.path / "src" / ".a.py.swp"
        written.write_text(str(number))
        written.replace(watched.path / "src" / "a.py")
        assert "src/a.py" in await watched.told(2 * number)
        (watched.path / "src" / "a.py").unlink()
        (watched.path / "src" / "a.py").write_text(f"again {number}")
        assert "src/a.py" in await watched.told(2 * number + 1)


async def test_what_is_ignored_disturbs_nobody(watched: Watched):
    for number in range(50):
        (watched.path / "build").mkdir(exist_ok=True)
        (watched.path / "build" / f"{number}.o").write_text("x")
        (watched.path / "some.log").write_text(str(number))
    assert await watched.told(1) == set()
    shutil.rmtree(watched.path / "build")
    (watched.path / "some.log").unlink()
    assert await watched.told(2) == set()
    (watched.path / "keep.log").write_text("x")
    assert await watched.told(3) == {"keep.log"}
    (watched.path / ".gitignore").write_text("")
    assert await watched.told(4) == {".gitignore"}
    (watched.path / "some.log").write_text("x")
    assert await watched.told(5) == {"some.log"}


async def test_a_storm_of_renames_is_a_few_bursts(watched: Watched):
    for number in range(400):
        made = watched.path / "src" / f"{number}.tmp"
        made.write_text("x")
        made.rename(watched.path / "src" / f"{number % 7}.py")
    (watched.path / "mark-storm").write_text("x")
    seen = await watched.until("mark-storm")
    assert {f"src/{number}.py" for number in range(7)} <= set().union(*seen)
    assert len(seen) <= 3


async def test_without_an_end_it_is_told_all_the_same(watched: Watched):
    ended = False

    async def keep_writing() -> None:
        while not ended:
            (watched.path / "src" / "busy").write_text("x")
            await asyncio.sleep(0.02)

    writing = asyncio.create_task(keep_writing())
    await watched.until("src/busy")
    ended = True
    await writing


async def test_a_repository_of_its_own(tmp_path: Path):
    made = repositories.repository(tmp_path / "shop")
    made.commit(a="1")
    (made.path / ".git" / "info" / "exclude").write_text("secret\n")  # not what snapshots go by
    async with watching(made.path) as watched:
        made.git("checkout", "-q", "-b", "other")
        made.git("commit", "-q", "--allow-empty", "-m", "nothing")
        assert await watched.told(1) == set()
        made.commit(a="2")
        assert await watched.told(2) == {"a"}
        made.git("checkout", "-q", "--force", "main")
        assert "a" in await watched.told(3)
        (made.path / "secret").write_text("x")
        assert await watched.told(4) == {"secret"}


async def test_links_and_folders_that_are_left_out(tmp_path: Path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "lib").mkdir(parents=True)
    (folder / "home").mkdir()
    outside.mkdir()
    (folder / "inner").symlink_to("lib")
    (folder / "outer").symlink_to(outside)
    async with watching(folder, folder / "home") as watched:
        (outside / "x").write_text("x")
        (folder / "home" / "x").write_text("x")
        (folder / "inner" / "x").write_text("x")
        assert await watched.told(1) == {"lib/x"}


async def test_a_folder_that_goes_or_is_replaced(watched: Watched):
    away = watched.path.with_name("away")
    watched.path.rename(away)
    shutil.copytree(away, watched.path)
    await watched.until(EVERYTHING)
    async with asyncio.timeout(SECONDS):  # that it watches the new one is seen by its next burst
        while watched.bursts.empty():
            (watched.path / "src" / "a.py").write_text(str(asyncio.get_running_loop().time()))
            await asyncio.sleep(0.3)
    await watched.until("src/a.py")
    shutil.rmtree(watched.path)
    with pytest.raises(NotFound, match="is gone") as caught:
        async with asyncio.timeout(SECONDS):
            await watched.task
    assert caught.value.remedy


async def test_what_is_no_folder(tmp_path: Path):
    with pytest.raises(InputError, match="no directory"):
        async for _ in bursts(tmp_path / "none"):
            pass
