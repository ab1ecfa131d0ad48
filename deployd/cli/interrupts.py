"""Ctrl-C and its like (SIGINT, SIGTERM, SIGHUP) as an exception at one place, not anywhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Interrupted", "Interrupts"]

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The user wants an end."""


class Interrupts:
    """While it is entered, a signal cancels what `guard` runs; each `guard` is ended by one more signal."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._pending = False
        self._heard: list[signal.Signals] = []

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for one in SIGNALS:
            # nohup has SIGHUP ignored, by wish. A script's `deployd up &` has SIGINT ignored, by accident.
            if one is not signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN:
                loop.add_signal_handler(one, self._hear)
                self._heard.append(one)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._heard:
            asyncio.get_running_loop().remove_signal_handler(one)

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises Interrupted, once `work` has cleaned up, when a signal comes."""
        task: asyncio.Task[T] = asyncio.create_task(work)
        self._task = task
        if self._pending:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if not self._pending:
                task.cancel()
                raise
            self._pending = False
            raise Interrupted from None
        finally:
            self._task = None

    def _hear(self) -> None:
        self._pending = True
        if self._task is not None:
            self._task.cancel()
