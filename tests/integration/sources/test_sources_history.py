"""Which of two commits came first, asked of mirrors that have next to no history."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployd.errors import Retryable
from deployd.sources import Trees, mirrors
from tests.integration.sources.repositories import Repository, program, repository


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "home" / "sources")


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    return repository(tmp_path / "shop")


@pytest.fixture(autouse=True)
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "DEPTHS", (3, 6))


async def fetched(trees: Trees, shop: Repository, number: int) -> list[str]:
    """So many commits, of which each was fetched by itself when it was the last."""
    commits = []
    for content in range(number):
        commits.append(shop.commit(file=str(content)))
        assert (await trees.fetch(f"file://{shop.path}", "main")).commit == commits[-1]
    return commits


async def test_older_and_newer(trees: Trees, shop: Repository):
    one, two, three, *_, last = await fetched(trees, shop, 5)
    url = f"file://{shop.path}"
    assert await trees.descends(url, "main", two, three) is True
    assert await trees.descends(url, "main", three, two) is False
    assert await trees.descends(url, None, one, last) is True
    assert await trees.descends(url, "main", last, one) is False
    assert (await trees.fetch(url, "main")).commit == last
    after = shop.commit(file="after")
    assert (await trees.fetch(url, "main")).commit == after
    assert await trees.descends(url, "main", last, after) is True


async def test_a_mirror_that_never_saw_them(trees: Trees, shop: Repository):
    commits = [shop.commit(file=str(number)) for number in range(4)]
    assert await trees.descends(f"file://{shop.path}", "main", commits[0], commits[3]) is True
    assert await trees.descends(f"file://{shop.path}", "main", commits[3], commits[0]) is False


async def test_merges(trees: Trees, shop: Repository):
    shop.commit(file="1")
    shop.git("checkout", "-q", "-b", "side")
    side = shop.commit(other="1")
    shop.git("checkout", "-q", "main")
    main = shop.commit(file="2")
    shop.git("merge", "-q", "--no-edit", "side")
    merge = shop.git("rev-parse", "HEAD")
    url = f"file://{shop.path}"
    assert await trees.descends(url, "main", side, main) is False
    assert await trees.descends(url, "main", main, side) is False
    assert await trees.descends(url, "main", side, merge) is True


async def test_a_branch_that_was_forced_elsewhere(trees: Trees, shop: Repository):
    first = shop.commit(file="1")
    url = f"file://{shop.path}"
    lost = shop.commit(file="2")
    await trees.fetch(url, "main")
    shop.git("reset", "-q", "--hard", first)
    forced = shop.commit(file="3")
    await trees.fetch(url, "main")
    assert await trees.descends(url, "main", forced, lost) is not True
    assert await trees.descends(url, "main", lost, forced) is not True


async def test_what_is_too_long_ago_is_not_told(trees: Trees, shop: Repository):
    commits = await fetched(trees, shop, 12)
    url = f"file://{shop.path}"
    assert await trees.descends(url, "main", commits[0], commits[1]) is None
    assert await trees.descends(url, "main", commits[8], commits[11]) is True


async def test_a_branch_that_is_gone_tells_nothing(trees: Trees, shop: Repository):
    one, two = await fetched(trees, shop, 2)
    shop.git("branch", "-m", "main", "trunk")
    assert await trees.descends(f"file://{shop.path}", "main", one, two) is None
    assert await trees.descends(f"file://{shop.path}/none", "main", one, two) is None


async def test_a_host_that_is_away_is_asked_again(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ssh = program(tmp_path / "ssh", "echo 'Connection reset by peer' >&2; exit 255")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    one = shop.commit(file="1")
    with pytest.raises(Retryable):
        await trees.descends(f"ssh://git@host.invalid{shop.path}", "main", one, one[::-1])
