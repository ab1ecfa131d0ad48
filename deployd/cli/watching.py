"""The folder that a verb stays with: what was edited in it since that was asked last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from deployd.cli.render import clock
from deployd.cli.terminal import Console, clean
from deployd.sources.watching import EVERYTHING, bursts

__all__ = ["Edits", "tell_edits"]

NAMED = 3
"""Paths that are named in one line."""


class Edits:
    """Gathers edits while it is entered; use it as an asynchronous context."""

    def __init__(self, directory: Path, left_out: Iterable[Path] = ()) -> None:
        self._directory, self._left_out = directory, tuple(left_out)
        self._paths: set[str] = set()
        self._came = asyncio.Event()
        self._gathering: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._gathering = asyncio.create_task(self._gather())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            await asyncio.gather(self._gathering, return_exceptions=True)

    async def next(self) -> list[str]:
        """Wait for edits; the paths of all since the last time. Raises what `bursts` raises."""
        assert self._gathering is not None, "use it as an asynchronous context"
        await self._came.wait()
        if not self._paths:
            await self._gathering  # it has ended, and never by itself
        self._came.clear()
        paths, self._paths = sorted(self._paths), set()
        if self._gathering.done():
            self._came.set()
        return paths

    async def _gather(self) -> None:
        try:
            async with aclosing(bursts(self._directory, self._left_out)) as stream:
                async for paths in stream:
                    self._paths |= paths
                    self._came.set()
        finally:
            self._came.set()


def tell_edits(console: Console, paths: list[str], at: str) -> None:
    """One line that says what was edited. `at`: now, as ISO 8601."""
    if console.json:
        console.tell("edited", paths=paths)
        return
    names = ["the whole folder"] if EVERYTHING in paths else [clean(one) for one in paths]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    console.say(console.paint(f"{clock(at)} edited: {', '.join(names[:NAMED])}{more}", "bold"))
