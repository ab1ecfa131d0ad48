"""The terminal: colours where they are wanted, widths in cells, and lines that are redrawn in place."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

__all__ = ["Console", "Paint", "Region", "cells", "clean", "cut", "error_block"]

Paint = Callable[..., str]
"""`Console.paint`: a text and the names of styles."""

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def clean(text: str) -> str:
    """Without anything that would move the cursor or change colours."""
    return _CONTROL.sub("", _ESCAPE.sub("", text)).expandtabs()


def cells(text: str) -> int:
    """The cells of a terminal that the text takes; colours take none."""
    plain = _COLOR.sub("", text)
    if plain.isascii():
        return len(plain)
    return sum(_cells(letter) for letter in plain)


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """As much of an uncoloured text as fits, with … where something is missing."""
    if cells(text) <= width:
        return text
    kept, room = "", width - 1
    for letter in text:
        room -= _cells(letter)
        if room < 0:
            break
        kept += letter
    return f"{kept}…" if width > 0 else ""


def error_block(what: str, evidence: str = "", remedy: str = "", where: str | None = None) -> str:
    """One plain block: what failed, the evidence indented, the place in the source, what to do."""
    lines = [clean(line) for line in what.splitlines() or [""]]
    lines += [f"    {clean(line)}".rstrip() for line in evidence.strip("\n").splitlines()]
    if where and not any(where in line for line in lines):
        lines.append(f"at {clean(where)}")
    if remedy:
        first, *others = (clean(line) for line in remedy.splitlines())
        lines += [f"what to do: {first}", *(f"    {line}" for line in others)]
    return "\n".join(lines)


class Console:
    """Where a verb speaks: results on `out`, complaints on `err`."""

    def __init__(
        self,
        *,
        json: bool = False,
        color: bool | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`color` None: if the stream is a terminal, and NO_COLOR is not set."""
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.json = json
        dumb = environ.get("TERM") == "dumb"
        self.live = not json and not dumb and self.out.isatty()
        wanted = color is not False and not environ.get("NO_COLOR") and not dumb and not json
        self.color = wanted and self.out.isatty()
        self._err_color = wanted and self.err.isatty()

    def paint(self, text: str, *styles: str) -> str:
        """The text in these styles, where there are colours."""
        return _paint(text, styles) if self.color and text and styles else text

    def say(self, text: str) -> None:
        """One line, or several."""
        print(text, file=self.out, flush=True)

    def tell(self, event: str, **fields: Any) -> None:
        """One object on a line of its own: for programs that follow what is live."""
        print(json.dumps({"event": event, **fields}, ensure_ascii=False), file=self.out, flush=True)

    def document(self, content: Any) -> None:
        """The one document of a verb that is not live."""
        print(json.dumps(content, ensure_ascii=False, indent=2), file=self.out, flush=True)

    def note(self, text: str) -> None:
        """A word beside the result, for whoever looks: on stderr, so that a pipe has the result alone."""
        self.err.write(f"{text}\n")

    def complain(self, block: str) -> None:
        """An `error_block`, its first line standing out."""
        first, newline, rest = block.partition("\n")
        mark = _paint("✘ " + first, ("red", "bold")) if self._err_color else first
        print(f"{mark}{newline}{rest}", file=self.err, flush=True)

    def complain_json(self, code: str, message: str, evidence: str, remedy: str) -> None:
        """The same for programs."""
        error = {"code": code, "message": message, "evidence": evidence, "remedy": remedy}
        print(json.dumps({"error": error}, ensure_ascii=False), file=self.err, flush=True)

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            size = os.get_terminal_size(self.out.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24


def _paint(text: str, styles: Sequence[str]) -> str:
    return f"\x1b[{';'.join(_SGR[style] for style in styles)}m{text}\x1b[0m"


class Region:
    """The last lines on the terminal, redrawn in place; the cursor is hidden until `close`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[int] = []
        """The cells of each line that stands there."""
        self._open = False

    def draw(self, lines: Sequence[str]) -> None:
        """Put these in place of those before."""
        parts = [] if self._open else ["\x1b[?25l"]
        self._open = True
        parts.append(self._up())
        parts += [f"{line}\x1b[K\n" for line in lines]
        parts.append("\x1b[J")
        self._write(parts)
        self._drawn = [cells(line) for line in lines]

    def close(self, lines: Sequence[str] = ()) -> None:
        """Leave these lines for good, and the cursor below them."""
        if not self._open and not lines:
            return
        ending = [self._up(), *(f"{line}\x1b[K\n" for line in lines), "\x1b[J"]
        if self._open:
            ending.append("\x1b[?25h")
        self._write(ending)
        self._drawn, self._open = [], False

    def _up(self) -> str:
        """To the beginning of what was drawn; lines that a narrower window has wrapped count as several."""
        columns = self._console.size()[0]
        rows = sum(max(1, -(-taken // columns)) for taken in self._drawn)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, parts: Sequence[str]) -> None:
        self._console.out.write("".join(parts))
        self._console.out.flush()
