"""Which way a path takes: by whole segments, the longest beginning wins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import unquote

__all__ = ["canonical", "longest", "segments"]

T = TypeVar("T")


def segments(path: str) -> tuple[str, ...]:
    """What is between its slashes; empty ones do not count."""
    return tuple(one for one in path.split("/") if one)


def canonical(path: str) -> str:
    """The path as services mostly understand it: decoded, without `.`, `..` and doubled slashes."""
    kept: list[str] = []
    for one in segments(unquote(path).replace("\\", "/")):
        if one == "..":
            del kept[-1:]
        elif one != ".":
            kept.append(one)
    return "/" + "/".join(kept)


def longest(path: str, ways: Sequence[tuple[tuple[str, ...], T]]) -> T | None:
    """Of ways in, longest beginning first: the first that the path begins with."""
    mine = segments(path)
    return next((way for start, way in ways if mine[: len(start)] == start), None)
