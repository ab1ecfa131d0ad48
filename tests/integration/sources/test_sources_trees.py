"""Snapshots and checkouts with the real git."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from deployd.errors import InputError, NotFound
from deployd.sources import Trees

EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "deployd" / "sources")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "static").mkdir(parents=True)
    (folder / "server.py").write_text("print('hello')\n")
    (folder / "static" / "page.html").write_text("<p>hello\n")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def repository(folder: Path, *, commit: bool) -> None:
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    run = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*run, "init", "-q"], check=True)
    if commit:
        subprocess.run([*run, "add", "."], check=True)
        subprocess.run([*run, "commit", "-qm", "x"], check=True)


async def test_what_went_in_comes_out(trees: Trees, app: Path) -> None:
    (app / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    (app / "mixed.txt").write_bytes(b"a\r\nb\n")
    (app / "binary").write_bytes(bytes(range(256)))
    (app / ".gitattributes").write_text("* text=auto eol=crlf ident\n*.py filter=evil\n")
    (app / "ident").write_text("$Id$\n")
    (app / "ünïcode \t'name'").write_text("x")
    made = await trees.checkout(await trees.snapshot(app))
    assert files(made) == files(app)


async def test_changes_change_the_tree_and_only_changes(trees: Trees, app: Path) -> None:
    first = await trees.snapshot(app)
    assert await trees.snapshot(app) == first
    (app / "new").write_text("1")
    added = await trees.snapshot(app)
    (app / "new").write_text("2")
    modified = await trees.snapshot(app)
    (app / "new").unlink()
    assert len({first, added, modified}) == 3
    assert await trees.snapshot(app) == first
    assert files(await trees.checkout(added))["new"] == b"1"
    assert files(await trees.checkout(modified))["new"] == b"2"


async def test_same_content_same_id_whichever_directory_and_home(
    tmp_path: Path, trees: Trees, app: Path
) -> None:
    subprocess.run(["cp", "-r", str(app), str(tmp_path / "copy")], check=True)
    assert await trees.snapshot(tmp_path / "copy") == await trees.snapshot(app)
    assert await Trees(tmp_path / "other" / "sources").snapshot(app) == await trees.snapshot(app)


async def test_a_change_of_the_same_size_in_the_same_second_is_seen(trees: Trees, app: Path) -> None:
    """git compares whole seconds; what tells it to look closer is the time of the index."""
    target = app / "target"
    await trees.snapshot(app)
    for _ in range(30):
        await asyncio.sleep(1 - time.time() % 1)
        target.write_text("one")
        first = await trees.snapshot(app)
        written_at = int(target.stat().st_mtime)
        target.write_text("two")
        if int(target.stat().st_mtime) == written_at:
            break
    else:
        pytest.fail("a snapshot took longer than a second")
    await asyncio.sleep(1 - time.time() % 1)
    second = await trees.snapshot(app)
    assert (await trees.checkout(first) / "target").read_text() == "one"
    assert (await trees.checkout(second) / "target").read_text() == "two"


async def test_an_empty_directory(trees: Trees, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert await trees.snapshot(tmp_path / "empty") == EMPTY
    assert list((await trees.checkout(EMPTY)).iterdir()) == []


async def test_ignored_files_and_the_directorys_own_git_are_left_out(tmp_path: Path, trees: Trees) -> None:
    app = tmp_path / "app"
    repository(app, commit=True)
    (app / ".gitignore").write_text("*.log\n/build/\n")
    (app / "a.log").write_text("x")
    (app / "build").mkdir()
    (app / "build" / "out").write_text("x")
    assert set(files(await trees.checkout(await trees.snapshot(app)))) == {"file", ".gitignore"}
    # The directory's own index and repository are as they were.
    status = subprocess.run(["git", "-C", str(app), "status", "--short"], check=True, capture_output=True)
    assert status.stdout == b"?? .gitignore\n"


async def test_what_is_ignored_later_is_left_out_from_then_on(trees: Trees, app: Path) -> None:
    (app / "secret").write_text("x")
    assert "secret" in files(await trees.checkout(await trees.snapshot(app)))
    (app / ".gitignore").write_text("secret\n")
    assert "secret" not in files(await trees.checkout(await trees.snapshot(app)))


async def test_modes_are_kept_and_everybody_may_read(trees: Trees, app: Path) -> None:
    (app / "start.sh").write_text("#!/bin/sh\n")
    (app / "start.sh").chmod(0o700)
    (app / "server.py").chmod(0o600)
    mask = os.umask(0o077)
    try:
        made = await trees.checkout(await trees.snapshot(app))
    finally:
        os.umask(mask)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (made, *made.iterdir())}
    assert modes == {made.name: 0o755, "static": 0o755, "start.sh": 0o755, "server.py": 0o644}
    before = await trees.snapshot(app)
    (app / "start.sh").chmod(0o600)
    assert await trees.snapshot(app) != before


async def test_links_within_are_kept(trees: Trees, app: Path) -> None:
    (app / "static" / "again").symlink_to("../server.py")
    (app / "dangling").symlink_to("not/there")
    (app / "loop").symlink_to("loop")
    made = await trees.checkout(await trees.snapshot(app))
    assert (made / "static" / "again").readlink() == Path("../server.py")
    assert (made / "static" / "again").read_text() == "print('hello')\n"
    assert (made / "loop").is_symlink()


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "..", "../app/server.py", "up/../secret", "static/../../x"]
)
async def test_links_that_lead_out_are_refused(trees: Trees, app: Path, target: str) -> None:
    (app / "static" / "up").symlink_to("..")  # the root: within
    (app / "up").symlink_to("static/up")
    await trees.snapshot(app)
    (app / "bad").symlink_to(target)
    with pytest.raises(InputError, match=r"The link bad in .* leads out of it") as caught:
        await trees.snapshot(app)
    assert target in caught.value.message
    assert caught.value.remedy
    (app / "bad").unlink()
    await trees.snapshot(app)


@pytest.mark.parametrize("commit", [True, False])
async def test_a_repository_within_is_refused(trees: Trees, app: Path, commit: bool) -> None:
    repository(app / "vendor" / "lib", commit=commit)
    with pytest.raises(InputError, match=r"^vendor/lib in .* is a git repository of its own") as caught:
        await trees.snapshot(app)
    assert "vendor/lib/.git" in caught.value.remedy
    (app / ".gitignore").write_text("vendor/lib/\n")
    assert "vendor/lib/file" not in files(await trees.checkout(await trees.snapshot(app)))


async def test_deployds_own_home_is_left_out(app: Path) -> None:
    (app / ".deployd").mkdir()
    (app / ".deployd" / "database").write_text("x")
    trees = Trees(app / ".deployd" / "sources")
    first = await trees.snapshot(app)
    assert set(files(await trees.checkout(first))) == {"server.py", "static/page.html"}
    assert await trees.snapshot(app) == first


async def test_the_callers_git_environment_and_configuration_do_not_matter(
    trees: Trees, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await trees.snapshot(app)
    (tmp_path / ".config" / "git").mkdir(parents=True)
    (tmp_path / ".config" / "git" / "ignore").write_text("*.py\n")
    (tmp_path / ".gitconfig").write_text("[core]\n\tautocrlf = input\n\tbare = nonsense\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
    assert await Trees(tmp_path / "other" / "sources").snapshot(app) == first


async def test_many_at_once_in_one_process(trees: Trees, app: Path, tmp_path: Path) -> None:
    taken = await asyncio.gather(*(trees.snapshot(app) for _ in range(4)))
    assert len(set(taken)) == 1
    made = await asyncio.gather(*(trees.checkout(taken[0]) for _ in range(4)))
    assert files(made[0]) == files(app)
    home = tmp_path / "deployd" / "sources"
    there = sorted(one.name for one in home.iterdir())
    assert there == ["indexes", "trees", "trees.git", "trees.lock", "used"]
    assert [one.name for one in (home / "trees").iterdir()] == [taken[0]]


async def test_processes_at_once(app: Path, tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from deployd.sources import Trees

async def main() -> None:
    trees = Trees(Path(sys.argv[1]))
    tree = await trees.snapshot(Path(sys.argv[2]))
    print((await trees.checkout(tree)).name)

asyncio.run(main())
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "home" / "sources"), str(app)]
    started = [
        await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ended = [await one.communicate() for one in started]
    assert [said for _, said in ended] == [b""] * 3
    assert len({output for output, _ in ended}) == 1


async def test_a_spoiled_index_is_made_anew(trees: Trees, app: Path, tmp_path: Path) -> None:
    first = await trees.snapshot(app)
    (index,) = (tmp_path / "deployd" / "sources" / "indexes").iterdir()
    index.write_bytes(index.read_bytes()[:40])
    assert await trees.snapshot(app) == first
    assert await trees.snapshot(app) == first


async def test_what_the_dead_left_is_swept(trees: Trees, app: Path, tmp_path: Path) -> None:
    await trees.snapshot(app)
    old, young = (tmp_path / "deployd" / "sources" / f"unfinished-{name}" for name in ("old", "young"))
    for one in (old, young):
        one.mkdir()
        (one / "index.lock").touch()
    os.utime(old, (time.time() - 7200,) * 2)
    await trees.snapshot(app)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("name", ["app/server.py", "nowhere"])
async def test_no_directory(trees: Trees, app: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no directory that deployd can read") as caught:
        await trees.snapshot(app.parent / name)
    assert caught.value.evidence


@pytest.mark.parametrize(
    "tree",
    ["", "HEAD", "4B825DC642CB6EB9A060E54BF8D69288FBEE4904", EMPTY[:39], "../" * 13 + "x", EMPTY + "\n"],
)
async def test_what_is_no_tree_id(trees: Trees, tree: str) -> None:
    with pytest.raises(InputError, match="is no git tree id"):
        await trees.checkout(tree)


async def test_unknown_trees(trees: Trees, app: Path) -> None:
    with pytest.raises(NotFound, match="There is no snapshot"):
        await trees.checkout("0" * 40)
    await trees.snapshot(app)
    blob = subprocess.run(
        ["git", "hash-object", str(app / "server.py")], check=True, capture_output=True, text=True
    ).stdout.strip()
    with pytest.raises(NotFound, match="There is no snapshot"):
        await trees.checkout(blob)


@pytest.mark.parametrize("what", [".", "static", "server.py", ".gitignore"])
def test_what_cannot_be_read_is_never_left_out(app: Path, what: str, request: pytest.FixtureRequest) -> None:
    """In a process of an ordinary user: root may read everything."""
    # pytest's own folders are closed to other users.
    open_folder = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(open_folder))
    app = app.rename(open_folder / "app")
    program = """
import asyncio, os, sys
from pathlib import Path
from deployd.errors import InputError
from deployd.sources import Trees

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
os.environ["PATH"] = "/usr/bin:/bin"
trees, app, what = Trees(Path("home/sources")), Path("app"), Path(sys.argv[1])
asyncio.run(trees.snapshot(app))
os.utime(app / what, (1, 1))  # what looks as before need not be read again
(app / what).chmod(0)
try:
    asyncio.run(trees.snapshot(app))
except InputError as error:
    print(error.message, error.remedy, error.evidence)
finally:
    (app / what).chmod(0o700)
"""
    (app / ".gitignore").write_text("*.log\n")
    home = open_folder / "home"
    home.mkdir()
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    for one in (open_folder, home, app, *app.rglob("*")):
        os.chown(one, nobody, -1)
    ended = subprocess.run(
        [sys.executable, "-c", program, what],
        cwd=open_folder,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    assert "let the user that runs deployd read" in ended.stdout.replace("Let", "let")
    assert "ermission denied" in ended.stdout
