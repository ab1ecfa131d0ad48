"""Fetching from real repositories with the real git, by every way that needs no other host."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deployd.errors import Denied, InputError, NotFound, Retryable
from deployd.sources import Trees, mirrors
from tests.integration.sources.repositories import Repository, program, repository

LAST = "for last; do :; done"


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "home" / "sources")


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "shop")
    made.commit(file="1")
    return made


@pytest.fixture
def mirror(tmp_path: Path, shop: Repository, trees: Trees) -> Path:
    """Where the shop's mirror is, once it was fetched."""
    asyncio.run(trees.fetch(str(shop.path), None))
    return next((tmp_path / "home" / "sources" / "mirrors").glob("*.git"))


async def content(trees: Trees, repository: str, ref: str | None, name: str = "file") -> str:
    fetched = await trees.fetch(repository, ref)
    return (await trees.checkout(fetched.tree) / name).read_text()


# -- what is found


@pytest.mark.parametrize("form", ["{}", "file://{}"])
async def test_branches_tags_and_commits(trees: Trees, shop: Repository, form: str) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.git("tag", "v1")
    shop.git("tag", "-m", "annotated", "v1-annotated")
    shop.git("checkout", "-q", "-b", "feature/cart")
    cart = shop.commit(file="cart")
    shop.git("checkout", "-q", "main")
    last = shop.commit(file="2")
    url = form.format(shop.path)
    for ref, commit, text in (
        (None, last, "2"),
        ("main", last, "2"),
        ("refs/heads/main", last, "2"),
        ("feature/cart", cart, "cart"),
        ("v1", first, "1"),
        ("v1-annotated", first, "1"),
        ("refs/tags/v1", first, "1"),
        (first, first, "1"),
        (last, last, "2"),
        (cart, cart, "cart"),
    ):
        fetched = await trees.fetch(url, ref)
        assert fetched.commit == commit, ref
        assert fetched.tree == shop.git("rev-parse", f"{commit}^{{tree}}")
        assert (await trees.checkout(fetched.tree) / "file").read_text() == text


async def test_a_branch_comes_before_a_tag_of_the_same_name(trees: Trees, shop: Repository) -> None:
    shop.git("tag", "same")
    shop.git("checkout", "-q", "-b", "same")
    shop.commit(file="branch")
    assert await content(trees, str(shop.path), "same") == "branch"
    assert await content(trees, str(shop.path), "refs/tags/same") == "1"


async def test_only_the_wanted_commit_is_fetched_and_the_next_time_only_what_is_new(
    trees: Trees, shop: Repository, tmp_path: Path
) -> None:
    (shop.path / "large").write_bytes(os.urandom(300_000))
    old = shop.commit()
    shop.git("checkout", "-q", "-b", "other")
    other = shop.commit(file="other")
    shop.git("checkout", "-q", "main")
    shop.commit(file="2")
    await trees.fetch(f"file://{shop.path}", "main")
    mirror = Repository(next((tmp_path / "home" / "sources" / "mirrors").glob("*.git")))
    assert mirror.git("rev-list", "--count", "--all") == "1"
    for commit in (old, other):
        with pytest.raises(subprocess.CalledProcessError):
            mirror.git("cat-file", "-e", commit)

    def size() -> int:
        return sum(one.stat().st_size for one in (tmp_path / "home").rglob("*.pack"))

    before = size()
    assert before > 500_000  # in the mirror and among the trees
    shop.commit(file="3")
    assert await content(trees, f"file://{shop.path}", "main") == "3"
    assert size() - before < 10_000


async def test_a_commit_that_is_there_needs_no_network(trees: Trees, shop: Repository) -> None:
    fetched = await trees.fetch(str(shop.path), "main")
    shop.path.rename(shop.path.with_name("gone"))
    assert await trees.fetch(str(shop.path), fetched.commit) == fetched
    with pytest.raises(NotFound):
        await trees.fetch(str(shop.path), "main")


async def test_a_force_pushed_branch(trees: Trees, shop: Repository) -> None:
    old = await trees.fetch(str(shop.path), "main")
    shop.git("commit", "-q", "--amend", "--allow-empty", "-m", "another")
    new = shop.commit(file="rewritten")
    fetched = await trees.fetch(str(shop.path), "main")
    assert (fetched.commit, await content(trees, str(shop.path), "main")) == (new, "rewritten")
    assert await trees.fetch(str(shop.path), old.commit) == old
    assert (await trees.checkout(old.tree) / "file").read_text() == "1"


async def test_a_commit_id_that_the_server_refuses_is_found_in_the_whole_history(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protocol 0, in which a server gives only what has a name."""
    first = shop.git("rev-parse", "HEAD")
    shop.commit(file="2")
    shop.commit(file="3")
    log = tmp_path / "log"
    ssh = program(tmp_path / "ssh", f'echo "$*" >> {log}\nunset GIT_PROTOCOL\n{LAST}\nexec sh -c "$last"')
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    url = f"ssh://git@host.invalid{shop.path}"
    assert await content(trees, url, "main") == "3"
    assert await content(trees, url, first) == "1"
    said = log.read_text()
    assert "BatchMode=yes" in said
    assert said.count("git-upload-pack") == 4  # names, main; the commit refused, everything
    with pytest.raises(NotFound, match=f"has no commit {'0' * 39}1"):
        await trees.fetch(url, "0" * 39 + "1")


# -- what is not


async def test_an_address_that_does_not_exist(trees: Trees, tmp_path: Path) -> None:
    for url in (str(tmp_path / "none"), f"file://{tmp_path}/none"):
        with pytest.raises(NotFound, match=f"There is no git repository {url}") as caught:
            await trees.fetch(url, "main")
        assert caught.value.remedy
        assert "does not appear to be a git repository" in caught.value.evidence


async def test_a_server_that_nobody_runs(trees: Trees) -> None:
    with pytest.raises(Retryable, match=r"https://127\.0\.0\.1:1/shop cannot be reached"):
        await trees.fetch("https://127.0.0.1:1/shop", "main")


async def test_a_name_that_does_not_exist(trees: Trees, shop: Repository) -> None:
    shop.git("branch", "release-2026")
    shop.git("tag", "v1.0")
    for wrong, right in (("relase-2026", "release-2026"), ("v1.O", "v1.0"), ("mian", "main")):
        with pytest.raises(NotFound, match=f"has no branch or tag '{wrong}'") as caught:
            await trees.fetch(str(shop.path), wrong)
        assert f"Did you mean '{right}'" in caught.value.remedy
    with pytest.raises(NotFound) as caught:
        await trees.fetch(str(shop.path), "zzz")
    assert "It has: main, release-2026, v1.0." in caught.value.remedy
    whole = shop.git("rev-parse", "HEAD")
    with pytest.raises(NotFound) as caught:
        await trees.fetch(str(shop.path), whole[:8])
    assert whole in caught.value.remedy


async def test_a_commit_that_does_not_exist(trees: Trees, shop: Repository) -> None:
    with pytest.raises(NotFound, match=f"has no commit {'a' * 40}") as caught:
        await trees.fetch(str(shop.path), "a" * 40)
    assert "It has: main." in caught.value.remedy


async def test_a_tag_of_no_commit(trees: Trees, shop: Repository) -> None:
    blob = shop.git("hash-object", "-w", "--stdin", feed="x")
    shop.git("tag", "blob", blob)
    with pytest.raises(InputError, match=r"refs/tags/blob of .* is no commit"):
        await trees.fetch(str(shop.path), "blob")


@pytest.mark.parametrize("ref", [None, "main"])
async def test_an_empty_repository(trees: Trees, tmp_path: Path, ref: str | None) -> None:
    empty = repository(tmp_path / "empty")
    with pytest.raises(NotFound, match=f"{empty.path} is empty") as caught:
        await trees.fetch(str(empty.path), ref)
    assert caught.value.remedy == "Push a commit to it."


async def test_a_default_branch_that_is_not_there(trees: Trees, shop: Repository) -> None:
    shop.git("symbolic-ref", "HEAD", "refs/heads/none")
    with pytest.raises(NotFound, match="has no default branch") as caught:
        await trees.fetch(str(shop.path), None)
    assert "main" in caught.value.remedy


# -- what is refused in it


async def test_a_submodule(trees: Trees, shop: Repository, tmp_path: Path) -> None:
    shop.git("submodule", "add", "-q", str(shop.path), "vendor/lib")
    shop.commit()
    with pytest.raises(InputError, match=r"^vendor/lib in .*shop at main is .*a submodule") as caught:
        await trees.fetch(str(shop.path), "main")
    assert "vendor/lib" in caught.value.remedy


async def test_a_link_that_leads_out(trees: Trees, shop: Repository) -> None:
    (shop.path / "bad").symlink_to("../secret")
    shop.commit()
    with pytest.raises(InputError, match=r"The link bad in .* leads out of it, to \.\./secret"):
        await trees.fetch(str(shop.path), "main")


async def test_a_pointer_of_lfs(trees: Trees, shop: Repository) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345678\n"
    shop.commit(model=pointer)
    await trees.fetch(str(shop.path), "main")  # nothing says that it is one
    shop.commit(**{".gitattributes": "model filter=lfs diff=lfs merge=lfs -text\n"})
    with pytest.raises(InputError, match=r"^model in .* is a pointer of Git LFS") as caught:
        await trees.fetch(str(shop.path), "main")
    assert "git lfs pull" in caught.value.remedy
    with pytest.raises(InputError, match=r"^model in .* is a pointer of Git LFS"):
        await trees.snapshot(shop.path)
    shop.commit(model="the content itself, which is longer than a hundred bytes " * 3)
    await trees.fetch(str(shop.path), "main")


# -- who is let in


async def test_authentication_refused_by_ssh(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = program(tmp_path / "ssh", 'echo "git@host: Permission denied (publickey)." >&2; exit 255')
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    for url in ("ssh://git@host.invalid/shop", "git@host.invalid:acme/shop"):
        with pytest.raises(Denied, match=f"{re.escape(url)} does not let deployd in") as caught:
            await trees.fetch(url, "main")
        assert "Permission denied" in caught.value.evidence
        assert "key" in caught.value.remedy


async def test_credentials_that_others_may_read_are_not_used(
    trees: Trees, shop: Repository, tmp_path: Path
) -> None:
    credentials = tmp_path / "home" / "git-credentials"
    credentials.parent.mkdir()
    credentials.write_text("https://ada:hunter2@localhost\n")
    credentials.chmod(0o644)
    with pytest.raises(Denied, match="may be read by others") as caught:
        await trees.fetch(str(shop.path), "main")
    assert caught.value.remedy == f"chmod 600 {credentials}"
    credentials.chmod(0o600)
    await trees.fetch(str(shop.path), "main")


# -- what goes wrong on the way


def sleeping(path: Path) -> Path:
    """An ssh that never answers; it writes down its process."""
    return program(path, f"echo $$ > {path}.pid\nexec sleep 60")


async def test_a_fetch_that_hangs_is_killed_and_may_be_tried_again(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = sleeping(tmp_path / "ssh")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    url = f"ssh://host.invalid{shop.path}"
    with monkeypatch.context() as patched:
        patched.setattr(mirrors, "LISTING_SECONDS", 3.0)  # within which ssh has begun
        with pytest.raises(Retryable, match="git ls-remote did not end within 3 seconds"):
            await trees.fetch(url, "main")
    await gone(int((tmp_path / "ssh.pid").read_text()))
    program(ssh, f'{LAST}\nexec sh -c "$last"')
    assert await content(trees, url, "main") == "1"


async def gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    return
            except FileNotFoundError:
                return
            await asyncio.sleep(0.01)


async def test_a_fetch_that_is_cancelled_leaves_no_process_and_no_lock(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = sleeping(tmp_path / "ssh")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    url = f"ssh://host.invalid{shop.path}"
    task = asyncio.create_task(trees.fetch(url, "main"))
    async with asyncio.timeout(30):
        while not (pid := tmp_path / "ssh.pid").exists() or not pid.read_text().strip():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int(pid.read_text()))
    program(ssh, f'{LAST}\nexec sh -c "$last"')
    assert await content(trees, url, "main") == "1"


def test_lock_files_of_a_git_that_was_killed(shop: Repository, mirror: Path, trees: Trees) -> None:
    shop.commit(file="2")
    left = [mirror / "shallow.lock", mirror / "refs" / "deployd" / "wanted.lock", mirror / "config.lock"]
    for one in left:
        one.touch()
    (mirror / "objects" / "pack" / "tmp_pack_x").write_text("half")
    assert asyncio.run(content(trees, str(shop.path), "main")) == "2"
    assert not any(one.exists() for one in left)
    assert not list((mirror / "objects" / "pack").glob("tmp_*"))


def test_a_mirror_that_a_crash_has_spoiled_is_made_anew(shop: Repository, mirror: Path, trees: Trees) -> None:
    shop.commit(file="2")
    for pack in (mirror / "objects" / "pack").iterdir():
        pack.chmod(0o644)
        pack.write_bytes(b"")
    assert asyncio.run(content(trees, str(shop.path), "main")) == "2"
    shop.commit(file="3")
    (mirror / "HEAD").unlink()
    assert asyncio.run(content(trees, str(shop.path), "main")) == "3"


async def test_a_mirror_that_others_hold_for_too_long(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trees.fetch(str(shop.path), "main")
    monkeypatch.setattr(mirrors, "LISTING_SECONDS", 0.1)
    monkeypatch.setattr(mirrors, "FETCHING_SECONDS", 0.1)
    with next((tmp_path / "home" / "sources" / "mirrors").glob("*.lock")).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Retryable, match=r"The mirror of .*shop has been busy"):
            await trees.fetch(str(shop.path), "main")
    monkeypatch.undo()
    await trees.fetch(str(shop.path), "main")


async def test_two_processes_at_one_mirror(
    trees: Trees, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fetch writes down when it begins and ends on the server's side: none lies within another."""
    log = tmp_path / "log"
    ssh = program(
        tmp_path / "ssh",
        f'{LAST}\necho begin >> {log}; sh -c "$last"; status=$?; echo end >> {log}; exit $status',
    )
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    code = """
import asyncio, sys
from pathlib import Path
from deployd.sources import Trees

async def main() -> None:
    trees = Trees(Path(sys.argv[1]))
    print(*(one.tree for one in await asyncio.gather(*(trees.fetch(sys.argv[2], "main") for _ in range(2)))))

asyncio.run(main())
"""
    url = f"ssh://host.invalid{shop.path}"
    arguments = [sys.executable, "-c", code, str(tmp_path / "home" / "sources"), url]
    started = [
        await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ended = await asyncio.gather(*(one.communicate() for one in started))
    assert [one.returncode for one in started] == [0, 0], ended
    tree = shop.git("rev-parse", "HEAD^{tree}")
    assert {word for output, _ in ended for word in output.decode().split()} == {tree}
    assert re.fullmatch(r"(begin\nend\n){8}", log.read_text())
    assert len(list((tmp_path / "home" / "sources" / "mirrors").glob("*.git"))) == 1
    assert not list((tmp_path / "home" / "sources").glob("unfinished-*"))
    shutil.rmtree(tmp_path / "home")
