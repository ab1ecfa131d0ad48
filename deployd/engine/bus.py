"""Hints within the process and between processes: who moved, whose mail came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from deployd.store import hints
from deployd.store.database import Database
from deployd.store.hints import Hint

__all__ = ["Bus"]

_PAUSE = 0.005  # between two NOTIFYs of one process, so that a busy committer sends few


class Bus:
    """Tells listeners of this process at once, and other processes by one coalesced NOTIFY."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._listeners: set[Callable[[Hint], None]] = set()
        self._worlds: set[int] = set()
        self._mail: set[UUID] = set()
        self._tokens: set[UUID] = set()
        self._due = False
        self._pending = asyncio.Event()
        self._origin = uuid4().hex
        self.revocations = 0
        """Raised whenever a token was revoked, or may have been: look again who calls."""

    def committed(self, hint: Hint) -> None:
        """After a commit of this process."""
        self._tell(hint)
        self._worlds |= hint.worlds
        self._mail |= hint.mail
        self._due |= hint.due
        self._pending.set()

    def revoked(self, token_id: UUID) -> None:
        """A token does not count any more, by a statement of this process."""
        self._tell(Hint(tokens=frozenset({token_id})))
        self._tokens.add(token_id)
        self._pending.set()

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call `heard` for every hint, until the returned function is called."""
        self._listeners.add(heard)
        return lambda: self._listeners.discard(heard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send and receive while the context lasts."""
        async with hints.listen(self._db, self._hear):
            task = asyncio.create_task(self._send(), name="hints out")
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _hear(self, hint: Hint) -> None:
        if hint.origin != self._origin:  # what this process said was told here at once
            self._tell(hint)

    def _tell(self, hint: Hint) -> None:
        if hint.tokens or hint.lost:
            self.revocations += 1
        for heard in tuple(self._listeners):
            heard(hint)

    async def _send(self) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            told = frozenset(self._worlds), frozenset(self._mail), frozenset(self._tokens)
            due, self._due = self._due, False
            self._worlds, self._mail, self._tokens = set(), set(), set()
            await hints.send(self._db, Hint(*told, due=due, origin=self._origin))
            await asyncio.sleep(_PAUSE)
