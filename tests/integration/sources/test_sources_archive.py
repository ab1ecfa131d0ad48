"""Archives of strangers: each trick is refused by name, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import stat
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployd.errors import InputError
from deployd.sources import Trees, archive, tape

Entry = tuple[str, str | bytes] | tarfile.TarInfo


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "home" / "sources")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> AsyncIterator[None]:
    yield
    assert list((tmp_path / "home" / "sources").glob("unfinished-*")) == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home"]


def tar(*entries: Entry, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    """A tar.gz of files (name, content) and of headers as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=format, encoding="utf-8") as file:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                file.addfile(entry)
            else:
                content = entry[1].encode() if isinstance(entry[1], str) else entry[1]
                info = tarfile.TarInfo(entry[0])
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def special(name: str, type_: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = type_, target, size
    return info


async def parts(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def take(trees: Trees, content: bytes) -> Path:
    return await trees.checkout(await trees.unpack(parts(content)))


async def refused(trees: Trees, content: bytes, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        await trees.unpack(parts(content))
    assert caught.value.remedy


# -- what is fine


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
async def test_files_folders_and_links(trees: Trees, format_: int) -> None:
    long = "/".join(["folder" * 8, "x" * 90])
    start = special("bin/start", tarfile.REGTYPE)
    start.mode = 0o4755
    made = await take(
        trees,
        tar(
            special("./", tarfile.DIRTYPE),
            special("bin/", tarfile.DIRTYPE),
            special("bin", tarfile.DIRTYPE),
            start,
            ("./deployd.yaml", "deployd: 1\n"),
            (long, "long"),
            special("link", tarfile.SYMTYPE, "bin/../deployd.yaml"),
            special("empty", tarfile.DIRTYPE),
            format=format_,
        ),
    )
    assert (made / "deployd.yaml").read_text() == "deployd: 1\n"
    assert (made / long).read_text() == "long"
    assert (made / "link").read_text() == "deployd: 1\n"
    assert stat.S_IMODE((made / "bin" / "start").stat().st_mode) == 0o755
    assert stat.S_IMODE((made / "deployd.yaml").stat().st_mode) == 0o644


async def test_what_a_gitignore_names_is_there_all_the_same(trees: Trees) -> None:
    made = await take(trees, tar((".gitignore", "built\n"), ("built", "x")))
    assert (made / "built").read_text() == "x"


async def test_a_snapshot_goes_through_an_archive_unchanged(trees: Trees, tmp_path: Path) -> None:
    app = tmp_path / "home" / "app"
    (app / "ünïcode " / ("y" * 200)).mkdir(parents=True)
    (app / "ünïcode " / ("y" * 200) / "file\n").write_text("x")
    (app / "crlf").write_bytes(b"a\r\nb\n")
    (app / "start").write_text("#!/bin/sh\n")
    (app / "start").chmod(0o755)
    (app / "link").symlink_to("start")
    (app / ".gitattributes").write_text("crlf export-ignore\nstart export-subst\n* text=auto\n")
    tree = await trees.snapshot(app)
    file = tmp_path / "home" / "made.tar.gz"
    await trees.archive(tree, file)
    assert await Trees(tmp_path / "home" / "sources").unpack(parts(file.read_bytes())) == tree


# -- what is not


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "'/etc/passwd' in the upload has an absolute path"),
        ("../secret", "'../secret' in the upload leads out of it by"),
        ("a/../../secret", "'a/../../secret' in the upload leads out of it by"),
        ("a/..", "'a/..' in the upload leads out"),
        (".git/config", "belongs to a git repository"),
        ("vendor/.GIT/hooks/x", "belongs to a git repository"),
        ("x" * 256, "has too long a name"),
        ("/".join(["x" * 200] * 11), "has too long a path"),
        ("", "has no name"),
        (".", "has no name"),
    ],
)
async def test_names_that_are_refused(trees: Trees, name: str, why: str) -> None:
    await refused(trees, tar(("fine", "x"), (name, "x")), why)


@pytest.mark.parametrize(
    ("type_", "why"),
    [
        (tarfile.LNKTYPE, "'odd' in the upload is a hard link"),
        (tarfile.CHRTYPE, "'odd' in the upload is a device"),
        (tarfile.BLKTYPE, "'odd' in the upload is a device"),
        (tarfile.FIFOTYPE, "'odd' in the upload is a named pipe"),
        (tarfile.GNUTYPE_SPARSE, "'odd' in the upload is a sparse file"),
        (b"Z", "'odd' in the upload is of an unknown kind"),
    ],
)
async def test_kinds_that_are_refused(trees: Trees, type_: bytes, why: str) -> None:
    await refused(trees, tar(("fine", "x"), special("odd", type_, "fine")), why)


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "up/../../x", ""])
async def test_links_that_lead_out(trees: Trees, target: str) -> None:
    entries = [special("a/up", tarfile.SYMTYPE, ".."), special("bad", tarfile.SYMTYPE, target)]
    await refused(trees, tar(*entries), "bad.* in the upload (leads out|is a link to nothing)")


async def test_a_way_out_by_two_links(trees: Trees) -> None:
    entries = [special("a/up", tarfile.SYMTYPE, ".."), special("bad", tarfile.SYMTYPE, "a/up/../x")]
    await refused(trees, tar(*entries), "The link bad in the upload leads out of it, to a/up/../x")


async def test_writing_through_a_link(trees: Trees, tmp_path: Path) -> None:
    outside = tmp_path / "home" / "outside"
    outside.mkdir(parents=True)
    entries: list[Entry] = [special("a", tarfile.SYMTYPE, str(outside)), ("a/file", "x")]
    await refused(trees, tar(*entries), "'a' in the upload is below a, which is no folder")
    entries = [special("a", tarfile.SYMTYPE, str(outside)), special("a/b", tarfile.DIRTYPE)]
    await refused(trees, tar(*entries), "is below a, which is no folder")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "entries",
    [
        [("a", "1"), ("a", "2")],
        [("a", "1"), ("./a", "2")],
        [special("a", tarfile.SYMTYPE, "b"), ("a", "2")],
        [("a/b", "1"), ("a", "2")],
        [("a", "1"), special("a", tarfile.DIRTYPE)],
    ],
)
async def test_what_is_there_twice(trees: Trees, entries: list[Entry]) -> None:
    await refused(trees, tar(*entries), "'a' in the upload is there twice")


async def test_names_that_are_no_text(trees: Trees) -> None:
    plain = gzip.decompress(tar(("name-x", "1"), format=tarfile.GNU_FORMAT))
    header = bytearray(plain[:512])
    header[5] = 0xFF
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    await refused(trees, gzip.compress(bytes(header) + plain[512:]), "The name 'name-\ufffd' .* is not UTF-8")
    long = gzip.decompress(tar(("y" * 150, "1"), format=tarfile.GNU_FORMAT)).replace(
        b"y" * 150, b"\xff" * 150
    )
    await refused(trees, gzip.compress(long), "is not UTF-8")


async def test_too_many_files(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ENTRIES_MAXIMUM", 20)
    await take(trees, tar(*((f"{n}", "") for n in range(20))))
    await refused(trees, tar(*((f"{n}", "") for n in range(21))), "more than 20 files and folders")
    await refused(trees, tar(("/".join("abcdefghijklmnopqrstu"), "")), "more than 20 files and folders")


async def test_a_bomb(trees: Trees) -> None:
    """A gibibyte of zeros is refused for its ratio long before the disk has it."""
    out = io.BytesIO()
    with gzip.open(out, "wb") as file:
        file.write(special("zeros", tarfile.REGTYPE, size=900 * 1024**2).tobuf())
        for _ in range(64):
            file.write(bytes(1024**2))
    content = out.getvalue()
    assert len(content) < 100_000
    await refused(trees, content, "more than 200 times its size")


async def test_too_much_altogether(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    await refused(trees, tar(special("huge", tarfile.REGTYPE, size=2 * 1024**3)), "huge is beyond that")
    monkeypatch.setattr(archive, "UNPACKED_MAXIMUM", 100)
    await take(trees, tar(("a", "x" * 60), ("b", "x" * 40)))
    await refused(trees, tar(("a", "x" * 60), ("b", "x" * 41)), "more than 100 bytes once unpacked; b is")
    monkeypatch.setattr(tape, "STREAM_MAXIMUM", 4000)
    await refused(trees, tar(*((f"{n}", "") for n in range(10))), "more than 4000 bytes once unpacked")


async def test_a_header_that_would_fill_the_memory(trees: Trees) -> None:
    for type_ in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        content = gzip.compress(special("x", type_, size=1024**3).tobuf())
        with pytest.raises(InputError, match=r"no whole tar\.gz") as caught:
            await trees.unpack(parts(content))
        assert "a header has 1073741824 bytes" in caught.value.evidence


@pytest.mark.parametrize(
    "record", [b"12 path=x", b"99999999 path=x\n", b"x\n", b"9 pathx\n\n", b"0 path=x\n"]
)
async def test_a_malformed_extended_header(trees: Trees, record: bytes) -> None:
    header = special("x", tarfile.XHDTYPE, size=len(record)).tobuf() + record.ljust(512, b"\0")
    content = header + special("fine", tarfile.REGTYPE).tobuf() + bytes(1024)
    await refused(trees, gzip.compress(content), "no whole tar.gz")


@pytest.mark.parametrize("key", ["GNU.sparse.major", "size"])
async def test_extended_headers_that_lie(trees: Trees, key: str) -> None:
    info = tarfile.TarInfo("odd")
    info.pax_headers = {key: "1x"}
    await refused(trees, tar(info), "sparse file" if key != "size" else "no whole tar.gz")


async def test_what_is_no_whole_archive(trees: Trees) -> None:
    whole = tar(("a", os.urandom(5000)), ("b", os.urandom(5000)))
    for content in (
        b"",
        b"no gzip",
        whole[: len(whole) // 2],
        gzip.compress(b"x" * 2000),
        gzip.compress(b"x"),
    ):
        await refused(trees, content, "no whole tar.gz")
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF
    await refused(trees, bytes(spoiled), "no whole tar.gz")


async def test_cancelling_stops_the_thread_and_leaves_nothing(trees: Trees, tmp_path: Path) -> None:
    content = tar(*((f"{n}", "x") for n in range(20_000)))
    task = asyncio.create_task(trees.unpack(parts(content, 10**9)))
    async with asyncio.timeout(30):
        while not list((tmp_path / "home" / "sources").glob("unfinished-*/files/9")):
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / "home" / "sources").glob("unfinished-*")) == []
