"""A client that asks one address again and again, and sees which version answers, or that none does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["Asking", "asking", "until"]

PAUSE = 0.005
"""Seconds between an answer and the next request."""
ANSWER = 5.0
"""Seconds after which a request has failed."""


class Asking:
    """What was seen so far. Every request has a connection of its own."""

    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        self.requests = 0
        self.failed = 0
        self.failures: list[str] = []
        """What happened, for the first few."""
        self.away = 0.0
        """Seconds without an answer: from the beginning of a failed request to the next good answer."""
        self.answer = ""
        self.answered_at = 0.0
        """When the present answer was received for the first time, on the clock of `time.monotonic`."""
        self.turned_back = 0
        """How often an answer came again after another one had taken its place."""
        self._before: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        lost_at: float | None = None
        while True:
            began = time.monotonic()
            self.requests += 1
            try:
                answer = await self._ask()
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                self.failed += 1
                if len(self.failures) < 5:
                    self.failures.append(f"{type(error).__name__}: {error}")
                lost_at = began if lost_at is None else lost_at
            else:
                now = time.monotonic()
                if lost_at is not None:
                    self.away += now - lost_at
                    lost_at = None
                if answer != self.answer:
                    self.turned_back += answer in self._before
                    self._before.add(answer)
                    self.answer, self.answered_at = answer, now
            await asyncio.sleep(PAUSE)

    async def _ask(self) -> str:
        """The body of a good answer. Raises OSError, EOFError, TimeoutError; ValueError for a bad one."""
        async with asyncio.timeout(ANSWER):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(self._request)
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        if not head:
            raise EOFError("no answer")
        first, *lines = head.decode("latin-1").lower().split("\r\n")
        if first.split()[1] != "200":
            raise ValueError(f"{first}: {body[:200]!r}")
        length = next(
            (int(one.partition(":")[2]) for one in lines if one.startswith("content-length:")), None
        )
        if length is not None and length != len(body):
            raise EOFError("the answer broke off")
        return body.decode()


@asynccontextmanager
async def asking(port: int, host: str) -> AsyncIterator[Asking]:
    """Asks while the context lasts."""
    one = Asking(port, host)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Look again and again. Raises RuntimeError that says what did not come."""
    ending = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ending:
            raise RuntimeError(f"{what} within {seconds:g} s")
        await asyncio.sleep(0.002)
