"""Where the folders of an image lie in the source tree: the copies of a Dockerfile as one shift of paths.

A process can run in the tree as it lies when all copies agree on one shift: what is `/app/x` in the image
is `x` below one folder of the tree, for every x. Paths are tuples of names, without `.` and `..`.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Misplaced", "Placement", "image_path", "sources"]

Names = tuple[str, ...]


class Misplaced(ValueError):
    """This does not lie in the tree as it would in the image; its message says why."""


def image_path(workdir: Names, text: str) -> Names:
    """An absolute path of the image, from one as it is written."""
    joined = posixpath.normpath(posixpath.join("/" + "/".join(workdir), text))
    return tuple(name for name in joined.split("/") if name)


def sources(context: Path, pattern: str) -> tuple[Names, ...]:
    """The files and folders of the context that a COPY names. Raises Misplaced where there are none."""
    names = image_path((), pattern)  # `..` at the root of a context stays at the root
    if any(re.search(r"[*?\[]", name) for name in names):
        found = sorted(context.glob("/".join(names)))
        if not found:
            raise Misplaced(f"nothing in the source tree is like {pattern}")
        return tuple(one.relative_to(context).parts for one in found)
    where = context.joinpath(*names)
    if not where.exists():
        raise Misplaced(f"{pattern} is not in the source tree")
    if not where.resolve().is_relative_to(context.resolve()):
        raise Misplaced(f"{pattern} leads out of the source tree")
    return (names,)


@dataclass(slots=True)
class Placement:
    """The shift of paths that the copies so far agree on."""

    context: Path
    image: Names | None = None
    """The image's folder …"""
    tree: Names = ()
    """… and the folder of the context that takes its place."""

    def copy(self, workdir: Names, patterns: tuple[str, ...], target: str) -> None:
        """Take in one COPY. Raises Misplaced where it contradicts the ones before it."""
        found = [names for pattern in patterns for names in sources(self.context, pattern)]
        into = image_path(workdir, target)
        folder = target.endswith("/") or target in {".", ".."} or into == workdir or len(found) > 1
        for names in found:
            directory = self.context.joinpath(*names).is_dir()
            self._agree(into if directory or not folder else (*into, names[-1]), names)

    def _agree(self, image: Names, tree: Names) -> None:
        while image and tree and image[-1] == tree[-1]:
            image, tree = image[:-1], tree[:-1]
        if self.image is None:
            self.image, self.tree = image, tree
        elif (self.image, self.tree) != (image, tree):
            raise Misplaced("the copies put the folders of the source tree elsewhere than they lie")

    def locate(self, image: Names) -> Path | None:
        """Where this path of the image lies in the tree; None where no copy puts anything."""
        if self.image is None or image[: len(self.image)] != self.image:
            return None
        return self.context.joinpath(*self.tree, *image[len(self.image) :])

    def translate(self, text: str) -> str:
        """A word with a path of the image turned into that of the tree.

        Raises Misplaced for a word that speaks of the image's folder in a way that cannot be turned.
        """
        if text.startswith("/") and not text.startswith("//"):
            place = self.locate(image_path((), text))
            if place is not None and place.exists():
                return str(place)
        if self.speaks(text):
            raise Misplaced(f"`{text}` means a path of the image that the source tree does not have")
        return text

    def speaks(self, text: str) -> bool:
        """Whether the text mentions the folder of the image into which the copies go."""
        if not self.image:
            return False
        folder = "/" + "/".join(self.image)
        return re.search(rf"(?<![\w./-]){re.escape(folder)}(?![\w.-])", text) is not None
