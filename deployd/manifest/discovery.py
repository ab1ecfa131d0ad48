"""Where in a source tree the manifest is."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from deployd.errors import InputError, ManifestError, NotFound
from deployd.manifest.document import SIZE_MAXIMUM
from deployd.manifest.offer import Offer
from deployd.manifest.parsing import Draft, Manifest, finish
from deployd.manifest.problem import Problems

__all__ = ["NAMES", "find"]

NAMES = ("deployd.yaml", "deployd.yml")

SKIPPED = frozenset({".git", "node_modules", ".venv"})
"""Folders in which others keep their files."""
FOLDERS_MAXIMUM = 20_000
FILES_MAXIMUM = 200

EXAMPLE = """\
deployd: 1
service:
  name: hello
  port: 8080
  health: /healthz
"""


def find(
    tree: Path, shown: Path | str | None = None, *, world: str | None = None, offer: Offer | None = None
) -> Manifest:
    """The manifest of a tree, which people know as the folder (or, as text, the source) `shown`.

    That is the file at its root or, without one, all files below it. `world` and `offer` are as in `parse`.
    Raises NotFound without any, ManifestError for wrong ones, InputError for an unreadable one.
    """
    files = beside(tree, ".") or list(below(tree))
    if not files:
        place = shown or tree
        written = place / NAMES[0] if isinstance(place, Path) else NAMES[0]
        raise NotFound(
            f"There is no deployd.yaml in {place}.",
            remedy=f"Write {written} beside the Dockerfile, for example:\n\n{EXAMPLE}",
        )
    drafts: list[Draft] = []
    failed: dict[str, tuple[str, ...]] = {}
    for file in files:
        try:
            if (first := posixpath.join(posixpath.dirname(file), NAMES[0])) != file and first in files:
                raise problem(file, f"is beside {NAMES[0]}, would be only one of the two")
            drafts.append(Draft(read(tree, file), file, posixpath.dirname(file) or "."))
        except ManifestError as error:
            failed[file] = error.problems
    return finish(drafts, failed, world=world, offer=offer)


def beside(tree: Path, folder: str) -> list[str]:
    """The manifests in one folder of the tree, seen from the root; two are one too many."""
    paths = [posixpath.normpath(posixpath.join(folder, name)) for name in NAMES]
    return [path for path in paths if (tree / path).exists() or (tree / path).is_symlink()]


def below(tree: Path) -> Iterator[str]:
    """The manifests of all folders of the tree, in order, as far as people keep their own files there."""
    found = 0
    for number, (folder, folders, _) in enumerate(os.walk(tree)):
        if number >= FOLDERS_MAXIMUM:
            raise InputError(
                f"{tree} has more than {FOLDERS_MAXIMUM} folders to look for deployd.yaml in.",
                remedy="Write one deployd.yaml at its root, with all of its services.",
            )
        # What is not UTF-8 can neither be shown nor stored.
        folders[:] = sorted(name for name in folders if name not in SKIPPED and encodable(name))
        for path in beside(tree, Path(folder).relative_to(tree).as_posix()):
            found += 1
            if found > FILES_MAXIMUM:
                raise problem(path, f"is one of more than {FILES_MAXIMUM} manifests, would be fewer")
            yield path


def encodable(name: str) -> bool:
    """Whether a name is text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read(tree: Path, name: str) -> str:
    """The file's text; a file that is not the tree's own, or no text, is refused."""
    path = tree / name
    try:
        if not path.resolve().is_relative_to(tree.resolve()) or not path.is_file():
            raise problem(name, "is no file of this tree, would be a plain file")
        with path.open("rb") as file:
            content = file.read(SIZE_MAXIMUM * 4 + 1)  # UTF-8 has at most four bytes a character
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read.", remedy="Let the user that runs deployd read it.", evidence=str(error)
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace"))
        raise problem(name, "is not UTF-8 here, would be", before.count(b"\n"), column) from error


def problem(name: str, text: str, line: int = 0, column: int = 0) -> Exception:
    """One problem of the file as a whole, or of its bytes."""
    problems = Problems(name)
    problems.add(line, column, "", text)
    return problems.error()
