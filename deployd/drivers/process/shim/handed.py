"""What the supervisor is handed over its standard input, and keeps in memory only.

One JSON object, `{"env": {…}, "hidden": [[name, value], …]}`, then the end: the variables that are on no
disk, and values that its program's output must not show, with the names shown instead. Should whoever hands
it over die before the end, it is no whole object, and nothing is started.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Iterable, Mapping

__all__ = ["Handed", "handed_text", "take"]

PATIENCE = 10.0
"""Seconds for all of it."""


class Handed:
    """Never written, never shown: its text says nothing of it."""

    __slots__ = ("env", "hidden")

    def __init__(self, env: Mapping[str, str] | None = None, hidden: Iterable[tuple[str, str]] = ()) -> None:
        """`hidden`: names and values; of equal values the first one's name is shown."""
        self.env = dict(env or {})
        self.hidden = tuple((name, value) for name, value in hidden)


def handed_text(handed: Handed) -> bytes:
    """As it is handed over."""
    return json.dumps({"env": handed.env, "hidden": handed.hidden}).encode()


def take(fd: int) -> Handed:
    """Read it. Raises ValueError, which repeats nothing of it, for what is not whole; TimeoutError."""
    content, until = bytearray(), time.monotonic() + PATIENCE
    while True:
        if not select.select([fd], [], [], max(until - time.monotonic(), 0.0))[0]:
            raise TimeoutError("what was to be handed over did not come")
        piece = os.read(fd, 65_536)
        if not piece:
            break
        content += piece
    try:
        read = json.loads(content)
        return Handed(read["env"], read["hidden"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("what was handed over is not whole: whoever did died meanwhile") from None
