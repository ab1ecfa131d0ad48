"""Where in a source tree the manifest is."""

from __future__ import annotations

from pathlib import Path

from deployd.errors import InputError, NotFound
from deployd.manifest.document import SIZE_MAXIMUM
from deployd.manifest.parsing import Manifest, parse
from deployd.manifest.problem import Problems

__all__ = ["NAMES", "find"]

NAMES = ("deployd.yaml", "deployd.yml")

EXAMPLE = """\
deployd: 1
service:
  name: hello
  port: 8080
  health: /healthz
"""


def find(tree: Path, shown: Path | str | None = None) -> Manifest:
    """The manifest at the root of a tree, which people know as the folder (or, as text, the source) `shown`.

    Raises NotFound without one, ManifestError for a wrong one or two, InputError for an unreadable one.
    """
    here = [name for name in NAMES if (tree / name).exists() or (tree / name).is_symlink()]
    if not here:
        place = shown or tree
        written = place / NAMES[0] if isinstance(place, Path) else NAMES[0]
        raise NotFound(
            f"There is no deployd.yaml in {place}.",
            remedy=f"Write {written} beside the Dockerfile, for example:\n\n{EXAMPLE}",
        )
    if len(here) > 1:
        raise problem(here[1], f"is beside {here[0]}, would be only one of the two")
    return parse(read(tree, here[0]), here[0])


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
