"""Keeps secrets out of what a program writes: each is replaced by `[secret NAME]` before it is kept.

Found are a value as it is, each of its lines, as it looks inside JSON and Python's repr, URL-encoded, in hex
and in base64, there also within something longer. What is shorter than six characters is left alone:
replacing that would tell more than it hides.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

__all__ = ["SHORTEST", "Redaction"]

SHORTEST = 6
"""Characters."""
SHORTEST_ENCODED = 8
"""Of a form that came by encoding, where less would be found by chance."""


class Redaction:
    """Replaces values, each by the name that is shown for it."""

    def __init__(self, values: Iterable[tuple[str, str]]) -> None:
        """`values`: names and values; of equal values the first one's name is shown."""
        named: dict[bytes, bytes] = {}
        for name, value in values:
            for form in _forms(value):
                named.setdefault(form, f"[secret {name}]".encode())
        # The longest first: a value may hold another one.
        self._forms = sorted(named, key=len, reverse=True)
        self._named = named
        self._pattern = re.compile(b"|".join(re.escape(form) for form in self._forms)) if named else None
        self.longest = len(self._forms[0]) if named else 0

    def line(self, line: bytes) -> bytes:
        """The line without them."""
        if self._pattern is None or not any(form in line for form in self._forms):
            return line  # which is nearly always so, and found out ten times faster than by the pattern
        return self._pattern.sub(lambda found: self._named[found[0]], line)

    def text(self, text: str) -> str:
        """The same for text."""
        return self.line(text.encode(errors="replace")).decode(errors="replace")


def _forms(value: str) -> Iterator[bytes]:
    """Everything as which a value is recognised."""
    for line in dict.fromkeys((value, *(one.strip("\r") for one in value.split("\n")))):
        if len(line) < SHORTEST or "\n" in line:
            continue
        yield from (form.encode() for form in (line, json.dumps(line)[1:-1], repr(line)[1:-1]))
        yield json.dumps(line, ensure_ascii=False)[1:-1].encode()
    if len(value) < SHORTEST:
        return
    for quoted in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield quoted.encode()
        yield re.sub("%..", lambda found: found[0].lower(), quoted).encode()
    raw = value.encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for before in range(3):
        # What is before and behind it has a part in the first and the last characters.
        encoded = base64.b64encode(b"\0" * before + raw)
        behind = (before + len(raw)) % 3
        kept = encoded[(0, 2, 3)[before] : len(encoded) - (0, 3, 2)[behind]]
        if len(kept) >= SHORTEST_ENCODED:
            yield kept
            yield kept.replace(b"+", b"-").replace(b"/", b"_")
