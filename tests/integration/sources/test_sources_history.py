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
    assert await trees.newer(url, "main", two, [three]) == {three}
    assert not await trees.newer(url, "main", three, [two])
    assert await trees.newer(url, None, one, [last]) == {last}
    assert not await trees.newer(url, "main", last, [one])
    assert (await trees.fetch(url, "main")).commit == last
    assert await trees.newer(url, "main", three, [one, two, last, three[::-1]]) == {last}
    after = shop.commit(file="after")
    assert (await trees.fetch(url, "main")).commit == after
    assert await trees.newer(url, "main", last, [after]) == {after}


async def test_a_mirror_that_never_saw_them(trees: Trees, shop: Repository):
    commits = [shop.commit(file=str(number)) for number in range(4)]
    assert await trees.newer(f"file://{shop.path}", "main", commits[0], [commits[3]]) == {commits[3]}
    assert not await trees.newer(f"file://{shop.path}", "main", commits[3], [commits[0]])


async def test_merges(trees: Trees, shop: Repository):
    shop.commit(file="1")
    shop.git("checkout", "-q", "-b", "side")
    side = shop.commit(other="1")
    shop.git("checkout", "-q", "main")
    main = shop.commit(file="2")
    shop.git("merge", "-q", "--no-edit", "side")
    merge = shop.git("rev-parse", "HEAD")
    url = f"file://{shop.path}"
    assert not await trees.newer(url, "main", side, [main])
    assert not await trees.newer(url, "main", main, [side])
    assert await trees.newer(url, "main", side, [merge]) == {merge}


async def test_a_branch_that_was_forced_elsewhere(trees: Trees, shop: Repository):
    first = shop.commit(file="1")
    url = f"file://{shop.path}"
    lost = shop.commit(file="2")
    await trees.fetch(url, "main")
    shop.git("reset", "-q", "--hard", first)
    forced = shop.commit(file="3")
    await trees.fetch(url, "main")
    assert not await trees.newer(url, "main", forced, [lost])
    assert not await trees.newer(url, "main", lost, [forced])


async def test_a_branch_that_was_set_back(trees: Trees, shop: Repository):
    first, last = await fetched(trees, shop, 2)
    shop.git("reset", "-q", "--hard", first)
    url = f"file://{shop.path}"
    await trees.fetch(url, "main")
    assert await trees.newer(url, "main", first, [last, "0" * 40]) <= {last}  # one that is not there
    assert await trees.newer(url, "main", first, [last]) == {last}


async def test_what_is_too_long_ago_is_not_told(trees: Trees, shop: Repository):
    commits = await fetched(trees, shop, 12)
    url = f"file://{shop.path}"
    assert not await trees.newer(url, "main", commits[0], [commits[9]])
    assert await trees.newer(url, "main", commits[8], [commits[11]]) == {commits[11]}


async def test_a_branch_that_is_gone_tells_nothing(trees: Trees, shop: Repository):
    one, two = await fetched(trees, shop, 2)
    shop.git("branch", "-m", "main", "trunk")
    assert not await trees.newer(f"file://{shop.path}", "main", one, [two])
    assert not await trees.newer(f"file://{shop.path}/none", "main", one, [two])


async def test_a_host_that_is_away_is_asked_again(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ssh = program(tmp_path / "ssh", "echo 'Connection reset by peer' >&2; exit 255")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    one = shop.commit(file="1")
    with pytest.raises(Retryable):
        await trees.newer(f"ssh://git@host.invalid{shop.path}", "main", one, [one[::-1]])
