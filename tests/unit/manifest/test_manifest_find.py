"""Where the manifest is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployd.errors import ManifestError, NotFound
from deployd.manifest import find, parse

TEXT = "deployd: 1\nservice:\n  name: hello\n"


@pytest.mark.parametrize("name", ["deployd.yaml", "deployd.yml"])
def test_either_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TEXT)
    assert find(tmp_path) == parse(TEXT)
    (tmp_path / name).write_text(TEXT + "  prot: 1\n")
    with pytest.raises(ManifestError, match=rf"^{name}:4:3: service\.prot: "):
        find(tmp_path)


def test_none_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no deployd\.yaml in ") as caught:
        find(tmp_path)
    _, _, written = caught.value.remedy.partition("\n\n")
    assert list(parse(written).services) == ["hello"]


def test_both_are_one_too_many(tmp_path: Path) -> None:
    for name in ("deployd.yaml", "deployd.yml"):
        (tmp_path / name).write_text(TEXT)
    with pytest.raises(ManifestError, match=r"^deployd\.yml:1:1: file: is beside deployd\.yaml"):
        find(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "deployd.yaml").write_bytes(b"# \xc3\xa9\n# \xc3\xa9 \xff\n")
    with pytest.raises(ManifestError, match=r"^deployd\.yaml:2:5: file: is not UTF-8"):
        find(tmp_path)


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "deployd.yaml").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert find(tmp_path) == parse(TEXT)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deployd.yaml").write_bytes(b"#" * 5_000_000)
    with pytest.raises(ManifestError, match="characters, would be at most"):
        find(tmp_path)


def test_only_files_of_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "other.yaml").write_text(TEXT)
    (tree / "deployd.yaml").symlink_to("../other.yaml")
    with pytest.raises(ManifestError, match="is no file of this tree"):
        find(tree)
    (tree / "deployd.yaml").unlink()
    (tree / "deployd.yaml").mkdir()
    with pytest.raises(ManifestError, match="is no file of this tree"):
        find(tree)
