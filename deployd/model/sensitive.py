"""Values of an operator's configuration that are nobody's to see, known by the names of their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployd.errors import InputError

__all__ = ["HIDDEN", "hidden", "is_sensitive", "restored"]

HIDDEN = "(hidden)"
"""Stands where a value is not shown. Sent back, it means the value that is there."""
_SENSITIVE = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|private_?key|api_?key|access_?key|signing_?key",
    re.IGNORECASE,
)


def is_sensitive(key: str) -> bool:
    """Whether the value under a key of this name is hidden."""
    return _SENSITIVE.search(key) is not None


def hidden(value: object) -> object:
    """JSON, with HIDDEN in the place of each value under a sensitive key, at every level."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_sensitive(str(key)) else hidden(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(one) for one in value]
    return value


def restored(value: object, before: object) -> object:
    """What `hidden` made of `before` and somebody changed, with what was hidden in its place again.

    Raises InputError where nothing was there to be kept.
    """
    if isinstance(value, Mapping):
        there = before if isinstance(before, Mapping) else {}
        made: dict[str, object] = {}
        for key, one in value.items():
            if one == HIDDEN and is_sensitive(str(key)):
                if key not in there:
                    raise InputError(
                        f"`{key}` is {HIDDEN}, but there is no value to keep",
                        remedy=f"Write a value of `{key}`.",
                    )
                made[str(key)] = there[key]
            else:
                made[str(key)] = restored(one, there.get(key))
        return made
    if isinstance(value, list | tuple):
        old = before if isinstance(before, list | tuple) else ()
        return [restored(one, old[at] if at < len(old) else None) for at, one in enumerate(value)]
    return value
