"""A directory that is written to while its snapshot is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployd.sources.git import Ended
from deployd.sources.trees import LOOKS, Trees


def during(trees: Trees, monkeypatch: pytest.MonkeyPatch, write: Callable[[int], None]) -> None:
    """Have this written at the end of each look, before anybody knows what it found."""
    add, looks = trees._add, 0

    async def moving(root: Path, variables: dict[str, str]) -> Ended:
        nonlocal looks
        added = await add(root, variables)
        looks += 1
        write(looks)
        return added

    monkeypatch.setattr(trees, "_add", moving)


async def content(trees: Trees, tree: str) -> dict[str, str]:
    folder = await trees.checkout(tree)
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_what_is_half_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, trees = tmp_path / "source", Trees(tmp_path / "home")
    source.mkdir()
    (source / "deployd.yaml").write_text("deployd: 1\nserv")
    (source / "goes").write_text("x")

    def write(look: int) -> None:
        if look == 1:
            (source / "deployd.yaml").write_text("deployd: 1\nservice: {name: cart}\n")
        if look == 2:
            (source / "goes").unlink()

    during(trees, monkeypatch, write)
    assert await content(trees, await trees.snapshot(source)) == {
        "deployd.yaml": "deployd: 1\nservice: {name: cart}\n"
    }


async def test_what_is_written_to_all_the_time_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, trees = tmp_path / "source", Trees(tmp_path / "home")
    source.mkdir()
    (source / "log").write_text("0")
    during(trees, monkeypatch, lambda look: (source / "log").write_text("x" * look) and None)
    assert await content(trees, await trees.snapshot(source)) == {"log": "x" * (LOOKS - 1)}
