"""Docker's patterns: which paths of a build context a .dockerignore excludes, and what a glob means.

`*` and `?` stay within one name, `**` goes over any number of folders, `[…]` is one character of a set, the
backslash keeps what follows. A pattern that matches a folder matches everything below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

__all__ = ["Ignoring", "glob"]

NOTHING = re.compile(r"(?!)")


def glob(pattern: str) -> re.Pattern[str]:
    """What matches the pattern in whole, and all that is below. A malformed pattern matches nothing."""
    try:
        return re.compile("".join(_pieces(pattern)) + r"(?:/.*)?\Z", re.DOTALL)
    except re.error:
        return NOTHING


def _pieces(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if at == len(pattern):
                yield ".*"
            else:
                at += pattern[at] == "/"
                yield "(?:.*/)?"
            continue
        at += 1
        if char == "*":
            yield "[^/]*"
        elif char == "?":
            yield "[^/]"
        elif char == "\\":
            yield re.escape(pattern[at : at + 1] or "\\")
            at += 1
        elif char == "[":
            end = pattern.find("]", at + (pattern[at : at + 1] == "^") + 1)
            if end < 0:
                raise re.error("the set is not closed")
            inner = pattern[at:end].replace("[", r"\[").replace("&&", r"&\&")
            yield f"(?!/)[{inner}]"
            at = end + 1
        else:
            yield re.escape(char)


class Ignoring:
    """A .dockerignore. The last pattern that matches a path, or a folder above it, decides."""

    def __init__(self, text: str = "") -> None:
        self._rules = list(_rules(text))

    def excludes(self, path: str) -> bool:
        """Whether the path, relative to the context, is left out of it."""
        out = False
        for pattern, back in self._rules:
            if out is back and pattern.match(path):
                out = not back
        return out


def _rules(text: str) -> Iterator[tuple[re.Pattern[str], bool]]:
    """Each pattern, and whether it takes paths back in."""
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line.strip()
        if line.startswith("#") or not pattern:
            continue
        back = pattern.startswith("!")
        cleaned = posixpath.normpath(pattern.removeprefix("!").strip() or ".").lstrip("/")
        if cleaned not in ("", "."):
            yield glob(cleaned), back
