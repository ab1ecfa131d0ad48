"""Problems of a file, gathered so that a developer sees all of them at once."""

from __future__ import annotations

import json

from deployd.errors import ManifestError

__all__ = ["Problems", "step"]

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

    def error(self) -> ManifestError:
        """All of them, in the order of the file."""
        places = sorted(self._found, key=lambda place: place[:2])
        return ManifestError(
            tuple(f"{self._file}:{line + 1}:{column + 1}: {text}" for line, column, text in places)
        )
