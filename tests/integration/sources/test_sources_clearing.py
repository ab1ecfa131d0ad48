"""Letting go of trees and mirrors: what goes is gone, what stays is whole, and it can all come again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from deployd.errors import NotFound, Retryable
from deployd.sources import Trees, clearing
from deployd.sources.lock import locked
from tests.integration.sources.repositories import repository

LONG = 40 * 86400.0


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "deployd" / "sources")


def age(folder: Path) -> None:
    """Nobody asked for any of it lately."""
    then = time.time() - LONG
    for one in folder.iterdir():
        os.utime(one, (then, then))


def is_whole(home: Path) -> bool:
    checking = [
        "git",
        "--git-dir",
        str(home / "trees.git"),
        "fsck",
        "--full",
        "--strict",
        "--connectivity-only",
    ]
    ended = subprocess.run(checking, capture_output=True, text=True, check=False)
    return not ended.returncode and "missing" not in ended.stdout + ended.stderr


async def test_what_nothing_refers_to_goes(trees: Trees, tmp_path: Path) -> None:
    app, home = tmp_path / "app", trees.home
    (app / "deep").mkdir(parents=True)
    for number in range(30):
        (app / "deep" / f"{number}").write_text(f"the same {number}\n")
    taken = []
    for text in ("first", "second", "third", "fourth"):
        (app / "server.py").write_text(text)
        taken.append(await trees.snapshot(app))
        await trees.checkout(taken[-1])
    first, second, third, fourth = taken
    assert await clearing.clear_trees(home, {second}) == clearing.Cleared(), "all were asked for just now"
    for folder in ("used", "indexes"):
        age(home / folder)
    (home / "used" / third).touch()  # somebody is about to put it on record
    said = await clearing.clear_trees(home, {second, "f" * 40}, dry_run=True)
    assert (await trees.checkout(first)).is_dir()
    assert said == await clearing.clear_trees(home, {second, "f" * 40}) == clearing.Cleared(2, 2)
    assert is_whole(home)
    for gone in (first, fourth):
        with pytest.raises(NotFound):
            await trees.checkout(gone)
    for kept, text in ((second, "second"), (third, "third")):
        assert (await trees.checkout(kept) / "server.py").read_text() == text
        assert len(await trees.entries(kept)) == 31
    assert not list(home.glob("unfinished-*"))

    # What went comes again, though the folder's index knew its files.
    assert await trees.snapshot(app) == fourth
    assert (await trees.checkout(fourth) / "deep" / "29").read_text() == "the same 29\n"
    assert is_whole(home)
    packs = list((home / "trees.git" / "objects" / "pack").glob("*.pack"))
    assert len(packs) == 1
    assert await clearing.clear_trees(home, {second, third, fourth}) == clearing.Cleared()
    assert packs == list((home / "trees.git" / "objects" / "pack").glob("*.pack")), "nothing to pack anew"


async def test_who_works_and_who_clears_up_wait_for_each_other(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "PATIENCE", 0.1)
    app = tmp_path / "app"
    app.mkdir()
    (app / "file").write_text("x")
    await trees.snapshot(app)
    lock = trees.home / "trees.lock"
    async with locked(lock, 1, "x", shared=True), locked(lock, 1, "x", shared=True):
        with pytest.raises(Retryable):
            await clearing.clear_trees(trees.home, set())
        assert await trees.snapshot(app), "others work meanwhile"
    async with locked(lock, 1, "x"):
        working = asyncio.create_task(trees.snapshot(app))
        await asyncio.wait([working], timeout=0.3)
        assert not working.done()
    assert await working


async def test_mirrors_that_nobody_asks_for_go(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [repository(tmp_path / name) for name in ("old", "new")]
    for one in made:
        one.commit(file=one.path.name)
        await trees.fetch(str(one.path), None)
    mirrors = trees.home / "mirrors"
    age(mirrors)
    await trees.fetch(str(made[1].path), None)
    assert await clearing.clear_mirrors(trees.home, LONG / 2, dry_run=True) == clearing.Cleared(mirrors=1)
    assert len(list(mirrors.glob("*.git"))) == 2
    monkeypatch.setattr(clearing, "LOOSE", 0)
    assert await clearing.clear_mirrors(trees.home, LONG / 2) == clearing.Cleared(mirrors=1)
    [left] = mirrors.glob("*.git")
    assert len(list((left / "objects" / "pack").glob("*.pack"))) == 1, "packed anew"
    for one in made:  # fetched again, or on top of what is there
        commit = one.commit(file="later")
        fetched = await trees.fetch(str(one.path), None)
        assert fetched.commit == commit
        assert (await trees.checkout(fetched.tree) / "file").read_text() == "later"
