"""From one tree to another by what changed alone, between two homes as between two hosts."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployd.errors import BaseUnknown, InputError
from deployd.sources import Trees


@pytest.fixture
def here(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "here" / "sources")


@pytest.fixture
def there(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "there" / "sources")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "deep.py").write_text("1")
    (folder / "server.py").write_text("1")
    (folder / "big").write_bytes(bytes(range(256)) * 4096)
    (folder / "link").symlink_to("lib")
    return folder


async def parts(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def packed(trees: Trees, tree: str, place: Path) -> bytes:
    await trees.archive(tree, place)
    return place.read_bytes()


async def sent(
    here: Trees, there: Trees, app: Path, base: str | None
) -> tuple[str, set[str], tuple[str, ...]]:
    """The folder's tree, taken over there on top of the base; the names that were sent, those gone."""
    tree, place = await here.snapshot(app), app.with_name("archive")
    delta = await here.delta(base, tree) if base else None
    content = await packed(here, delta.tree if delta else tree, place)
    with tarfile.open(fileobj=io.BytesIO(content)) as file:
        names = {one.name for one in file if not one.isdir()}
    assert delta is None or delta.changed == len(names)
    assert await there.unpack(parts(content), base, delta.removed if delta else ()) == tree
    return tree, names, delta.removed if delta else ()


async def test_only_what_changed_is_sent_and_the_whole_arrives(here: Trees, there: Trees, app: Path):
    base, names, _ = await sent(here, there, app, None)
    assert names == {"lib/deep.py", "server.py", "big", "link"}
    (app / "server.py").write_text("2")
    base, names, gone = await sent(here, there, app, base)
    assert (names, gone) == ({"server.py"}, ())
    (app / "server.py").chmod(0o755)
    (app / "lib" / "näme\nwith newline").write_text("x")
    base, names, gone = await sent(here, there, app, base)
    assert (names, gone) == ({"server.py", "lib/näme\nwith newline"}, ())
    (app / "big").unlink()
    base, names, gone = await sent(here, there, app, base)
    assert (names, gone) == (set(), ("big",))
    made = await there.checkout(base)
    kept = {"lib/deep.py", "lib/näme\nwith newline", "link", "server.py"}
    assert {
        str(one.relative_to(made)) for one in made.rglob("*") if one.is_symlink() or one.is_file()
    } == kept
    assert (made / "link").readlink() == Path("lib")


async def test_files_become_folders_and_folders_files(here: Trees, there: Trees, app: Path):
    base, _, _ = await sent(here, there, app, None)
    shutil.rmtree(app / "lib")
    (app / "lib").write_text("a file now")
    (app / "server.py").unlink()
    (app / "server.py").mkdir()
    (app / "server.py" / "main.py").write_text("1")
    (app / "link").unlink()
    (app / "link").write_text("no link")
    _, names, gone = await sent(here, there, app, base)
    assert names == {"lib", "server.py/main.py", "link"}
    assert set(gone) == {"lib/deep.py", "server.py"}


async def test_a_path_that_is_replaced_needs_no_removal(here: Trees, there: Trees, app: Path):
    base = (await sent(here, there, app, None))[0]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        info = tarfile.TarInfo("lib")
        info.size = 1
        file.addfile(info, io.BytesIO(b"x"))
    made = await there.checkout(await there.unpack(parts(out.getvalue()), base, ("never/there", "big")))
    assert (made / "lib").read_text() == "x"
    assert not (made / "big").exists()


async def test_a_base_that_is_not_there(here: Trees, there: Trees, app: Path):
    tree = await here.snapshot(app)
    content = await packed(here, tree, app.with_name("archive"))
    for base in (tree, "0" * 40, "main", "-x"):
        with pytest.raises(BaseUnknown, match="is not here") as caught:
            await there.unpack(parts(content), base)
        assert caught.value.code == "BASE_UNKNOWN"


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", ".git/config", "a/.GIT/x", "", "a//b", "a/"]
)
async def test_removed_paths_stay_inside(here: Trees, app: Path, path: str):
    tree = await here.snapshot(app)
    content = await packed(here, tree, app.with_name("archive"))
    with pytest.raises(InputError, match="in the upload"):
        await here.unpack(parts(content), tree, (path,))


async def test_links_that_lead_out_only_together_are_refused(there: Trees, here: Trees, app: Path):
    (app / "up").symlink_to("lib/..")
    base = (await sent(here, there, app, None))[0]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        link = tarfile.TarInfo("lib")
        link.type, link.linkname = tarfile.SYMTYPE, "."
        file.addfile(link)
    with pytest.raises(InputError, match="leads out"):
        await there.unpack(parts(out.getvalue()), base)
    assert not list((app.parent / "there" / "sources").glob("unfinished-*"))


async def test_entries(here: Trees, app: Path):
    found = await here.entries(await here.snapshot(app))
    assert [(one.path, one.mode) for one in found] == [
        ("big", "100644"), ("lib/deep.py", "100644"), ("link", "120000"), ("server.py", "100644"),
    ]  # fmt: skip
    assert found[1].oid == found[3].oid
