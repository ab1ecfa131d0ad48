"""Credentials over https, with a real server: used from their file, and seen nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployd.errors import Denied, NotFound
from deployd.sources import Trees
from tests.integration.sources.https import Server, https
from tests.integration.sources.repositories import Repository, repository


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "home" / "sources")


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "repositories" / "shop")
    made.commit(file="1")
    return made


@pytest.fixture
def server(tmp_path: Path, shop: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with https(tmp_path / "repositories") as made:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(made.certificate))
        # Of these, git's http library would read the one, and git the other.
        (tmp_path / ".netrc").write_text("machine localhost login ada password hunter2\n")
        (tmp_path / ".git-credentials").write_text(f"{made.url.replace('//', '//ada:hunter2@')}\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        yield made


def credentials(tmp_path: Path, server: Server, password: str) -> Path:
    path = tmp_path / "home" / "git-credentials"
    path.parent.mkdir(exist_ok=True)
    path.write_text(server.url.replace("//", f"//ada:{password}@") + "\n")
    path.chmod(0o600)
    return path


async def test_credentials_are_read_from_their_file(
    trees: Trees, shop: Repository, server: Server, tmp_path: Path
) -> None:
    path = credentials(tmp_path, server, "hunter2")
    written = path.read_text()
    url = f"{server.url}/shop/.git"
    fetched = await trees.fetch(url, "main")
    assert (await trees.checkout(fetched.tree) / "file").read_text() == "1"
    assert fetched.commit == shop.git("rev-parse", "HEAD")
    with pytest.raises(NotFound, match="There is no git repository"):
        await trees.fetch(f"{server.url}/none", "main")
    assert path.read_text() == written
    kept = [one for one in (tmp_path / "home" / "sources").rglob("*") if one.is_file()]
    assert kept
    assert not [one for one in kept if b"hunter2" in one.read_bytes()]


async def test_authentication_refused(trees: Trees, shop: Repository, server: Server, tmp_path: Path) -> None:
    url = f"{server.url}/shop/.git"
    with pytest.raises(Denied, match="does not let deployd in") as caught:
        await trees.fetch(url, "main")
    assert "git-credentials in DEPLOYD_HOME" in caught.value.remedy
    assert set(server.asked) == {None}
    path = credentials(tmp_path, server, "wr0ng")
    with pytest.raises(Denied) as caught:
        await trees.fetch(url, "main")
    error = caught.value
    assert "wr0ng" not in error.message + error.remedy + error.evidence
    assert len(set(server.asked)) == 2
    assert "wr0ng" in path.read_text()  # git would have erased it


async def test_a_certificate_that_nobody_trusts(
    trees: Trees, shop: Repository, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    with pytest.raises(Denied, match=r"The certificate of .* is not trusted") as caught:
        await trees.fetch(f"{server.url}/shop/.git", "main")
    assert "GIT_SSL_CAINFO" in caught.value.remedy
    assert server.asked == []
