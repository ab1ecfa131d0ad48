"""One key of deployd.yaml, explained from the facts of the page: found by its path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deployd.errors import NotFound
from deployd.manifest.schema import TOP
from deployd.manifest.service import SERVICE_KEYS
from deployd.manifest.shape import Either, Items, Key, Record, Shape, Table

__all__ = ["KeyEntry", "explain_key"]


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """What there is to know of a key."""

    path: str
    what: str
    """What its value may be."""
    about: str
    default: str
    example: str
    keys: Mapping[str, str]
    """The keys of its mapping, with what each is for; empty where it has none of known names."""


def explain_key(path: str) -> KeyEntry:
    """By `services.cart.rollout.steps`, or from the service on: `rollout.steps`. Raises NotFound."""
    parts = [one for one in re.split(r"[.\[\]]+", path) if one]
    known: Mapping[str, Key] | None = TOP if parts and parts[0] in TOP else SERVICE_KEYS
    key: Key | None = None
    shape: Shape | None = None
    for number, part in enumerate(parts):
        if known is None:  # names or places that a developer chooses
            inner = _inner(shape)
            if inner is None:
                raise _unknown(path, part, ())
            shape, known = inner, _keys(inner)
            continue
        if part not in known:
            raise _unknown(path, part, [*known] if number else [*TOP, *SERVICE_KEYS])
        key, shape = known[part], known[part].shape
        known = _keys(shape)
    if key is None or shape is None:
        raise _unknown(path, path, [*TOP, *SERVICE_KEYS])
    keys = {name: one.about for name, one in (_keys(shape) or _keys(_inner(shape)) or {}).items()}
    named = key.shape is shape  # else it is one of those that the key holds
    return KeyEntry(
        path, shape.what, key.about, key.default if named else "", key.example if named else "", keys
    )


def _keys(shape: Shape | None) -> Mapping[str, Key] | None:
    match shape:
        case Record(keys=keys):
            return keys
        case Either(options=options):
            return next((found for one in options if (found := _keys(one)) is not None), None)
        case _:
            return None


def _inner(shape: Shape | None) -> Shape | None:
    match shape:
        case Table(values=values) | Items(values=values):
            return values
        case Either(options=options):
            return next((found for one in options if (found := _inner(one)) is not None), None)
        case _:
            return None


def _unknown(path: str, part: str, known: tuple[str, ...] | list[str]) -> NotFound:
    near = difflib.get_close_matches(part, known, n=1)
    there = f"There are: {', '.join(known)}." if known else "See docs/manifest.md."
    return NotFound(
        f"deployd.yaml has no key {path!r}: {part!r} is none there",
        remedy=f"Did you mean {near[0]!r}?" if near else there,
    )
