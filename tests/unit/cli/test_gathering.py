"""Which files `apply` reads, and under which names people are told of them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from deployd.cli import applying
from deployd.errors import InputError, ManifestError
from deployd.manifest.operator import read_worlds


def test_a_folder_a_file_and_what_is_piped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.yaml", "a.yml", "notes.txt"):
        (tmp_path / name).write_text(f"world: {name[0]}\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfworld: piped\n")))
    found = list(applying._texts([str(tmp_path), "-", str(tmp_path / "b.yaml")]))
    assert [name for name, _ in found] == [
        str(tmp_path / "a.yml"),
        str(tmp_path / "b.yaml"),
        "stdin",
        str(tmp_path / "b.yaml"),
    ]
    assert dict(found)["stdin"] == "world: piped\n"


@pytest.mark.parametrize("name", ["missing.yaml", "empty", "binary.yaml"])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=name) as raised:
        list(applying._texts([str(tmp_path / name)]))
    assert raised.value.remedy


def test_all_that_is_wrong_in_all_files_is_told_at_once() -> None:
    texts = [("stdin", "world: a\ncapabilites: {}\n---\nrepository: acme/x\n"), ("b.yaml", "wrld: b\n")]
    with pytest.raises(ManifestError) as raised:
        read_worlds(texts)
    places = [line.split(": ")[0] for line in raised.value.problems]
    assert {"stdin:2:1", "stdin:4:1", "b.yaml:1:1"} <= set(places)
    assert "would be `capabilities`" in raised.value.problems[0]
