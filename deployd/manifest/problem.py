"""Problems of a file, gathered so that a developer sees all of them at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from deployd.errors import ManifestError

__all__ = ["Problems", "item", "meant", "shown", "step"]

SHOWN = 60
"""Characters of the developer's own text that a message repeats."""


def shown(text: str) -> str:
    """The text in quotes, on one line, shortened."""
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return f'"{short}"' if short.isprintable() else json.dumps(short)


def step(path: str, key: str) -> str:
    """The path of `key` below `path`. The path of the whole document is empty."""
    name = key if key.isprintable() and len(key) <= SHOWN and key.strip() and ":" not in key else shown(key)
    return f"{path}.{name}" if path else name


def item(path: str, index: int) -> str:
    """The path of an element of the list at `path`; counted from 0."""
    return f"{path}[{index}]"


def meant(name: str, known: Iterable[str], none: str) -> str:
    """The known name that was probably meant, or all of them; `none`: what to say where there is none."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"would be {shown(close[0])}"
    return "would be one of " + ", ".join(names) if names else none


class Problems:
    """Places and what is wrong there. Lines and columns are counted from 0 here, from 1 in messages."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[tuple[int, int, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, column: int, path: str, text: str) -> None:
        """Note one; the same at the same place (an alias used twice) counts once."""
        self._found[(line, column, f"{path or 'file'}: {text}")] = None

    def place(self, line: int, column: int) -> str:
        """A place of the file as people write it."""
        return f"{self._file}:{line + 1}:{column + 1}"

    def lines(self) -> tuple[str, ...]:
        """All of them, in the order of the file."""
        places = sorted(self._found, key=lambda place: place[:2])
        return tuple(f"{self.place(line, column)}: {text}" for line, column, text in places)

    def error(self) -> ManifestError:
        """All of them as an error."""
        return ManifestError(self.lines())
