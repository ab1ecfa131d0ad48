"""The audit log: every request for a change before it is carried out and after it, and every refusal.

Invariant: nothing is carried out that could not be put on record first. Refusals of those who only look are
many at times: they go through a queue, and when there are too many, their number is on record instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from deployd.errors import PostgresUnavailable
from deployd.model.audit import Outcome
from deployd.model.identifier import new_id
from deployd.store import audit
from deployd.store.database import Database

__all__ = ["Auditing", "Entry"]

_log = logging.getLogger(__name__)

_WAITING = 1000
"""Refusals that may wait for the database; more are only counted."""
_PER_MINUTE = 300
_AGAIN = 1.0  # seconds until a database that was away is asked again


@dataclass(frozen=True, slots=True)
class Entry:
    """A request on record."""

    id: UUID
    world_id: int
    actor: str
    action: str


class Auditing:
    """Made once, in the composition root; use `running` around whatever calls `refused`."""

    def __init__(self, db: Database, system_world_id: int) -> None:
        self._db, self._system = db, system_world_id
        self._queue: asyncio.Queue[tuple[Entry, str, str]] = asyncio.Queue(_WAITING)
        self._dropped = 0
        self._minute, self._in_minute = 0.0, 0

    async def asked(
        self, actor: str, action: str, world_id: int | None, arguments: Mapping[str, object]
    ) -> Entry:
        """A request, before it is carried out. Raises PostgresUnavailable."""
        entry = Entry(new_id(), self._system if world_id is None else world_id, actor, action)
        await audit.add(self._db, entry.world_id, entry.id, Outcome.ASKED, actor, action, arguments=arguments)
        return entry

    async def ended(
        self, entry: Entry, outcome: Outcome, code: str | None = None, message: str | None = None
    ) -> None:
        """What it came to. A database that is away by now is no reason to fail what was done."""
        try:
            await audit.add(
                self._db,
                entry.world_id,
                entry.id,
                outcome,
                entry.actor,
                entry.action,
                code=code,
                message=message,
            )
        except PostgresUnavailable as error:
            _log.error("audit: %s by %s came to %s: %s", entry.action, entry.actor, outcome, error)

    def refused(self, actor: str, action: str, world_id: int | None, code: str, message: str) -> None:
        """Somebody may not look at something, or is nobody."""
        now = asyncio.get_running_loop().time()
        if now - self._minute >= 60:
            self._minute, self._in_minute = now, 0
        self._in_minute += 1
        entry = Entry(new_id(), self._system if world_id is None else world_id, actor, action)
        if self._in_minute > _PER_MINUTE or self._queue.full():
            self._dropped += 1
        else:
            self._queue.put_nowait((entry, code, message))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Refusals are written while the context lasts, and those that wait at its end."""
        task = asyncio.create_task(self._write(), name="audit")
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(2):
                    await self._queue.join()
            except TimeoutError:
                _log.error("audit: %d refusals are not on record", self._queue.qsize())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            entry, code, message = await self._queue.get()
            while True:
                try:
                    await self._add(entry, code, message)
                    break
                except PostgresUnavailable:
                    await asyncio.sleep(_AGAIN)
            self._queue.task_done()

    async def _add(self, entry: Entry, code: str, message: str) -> None:
        await audit.add(
            self._db,
            entry.world_id,
            entry.id,
            Outcome.REFUSED,
            entry.actor,
            entry.action,
            code=code,
            message=message,
        )
        if self._dropped and self._queue.empty():
            dropped, self._dropped = self._dropped, 0
            _log.warning("audit: %d refusals more", dropped)
            await audit.add(
                self._db,
                self._system,
                new_id(),
                Outcome.REFUSED,
                "many",
                "many",
                code="TOO_MANY",
                message=f"{dropped} refusals more, not on record one by one",
            )
