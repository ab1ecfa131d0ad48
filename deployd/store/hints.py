"""Hints: after a commit, which worlds moved and whose mail came. Losing one costs a poll's delay.

Invariant: a hint is never sent inside the transaction it tells of (NOTIFY takes a global lock that is
held through the WAL flush), and nobody relies on one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import msgspec

from deployd.errors import PostgresUnavailable
from deployd.store.database import Database
from deployd.telemetry.metrics import HINTS

__all__ = ["Hint", "listen", "send"]

_log = logging.getLogger(__name__)

_PAYLOAD_LIMIT = 7500  # Postgres takes less than 8000 bytes


@dataclass(frozen=True, slots=True)
class Hint:
    """Worlds with new transitions; machines whose mail came; `lost`: something may have been missed."""

    worlds: frozenset[int] = frozenset()
    mail: frozenset[UUID] = frozenset()
    tokens: frozenset[UUID] = frozenset()
    """Which were revoked."""
    due: bool = False
    """Machines were born: they can be claimed."""
    lost: bool = False
    origin: str = ""
    """Which process says so: it has told itself already."""


_decoder = msgspec.json.Decoder(Hint)


async def send(db: Database, hint: Hint) -> None:
    """Tell every process. Best effort: errors are swallowed, since every reader polls as well."""
    few = len(hint.mail) < _PAYLOAD_LIMIT // 39  # each id takes 39 bytes
    payload = msgspec.json.encode(hint) if few else b""
    if not few or len(payload) > _PAYLOAD_LIMIT:
        payload = msgspec.json.encode(Hint(lost=True, origin=hint.origin))
    try:
        await db.execute("hint", payload.decode())
        HINTS.add("sent")
    except PostgresUnavailable as error:
        _log.debug("hint not sent: %s", error)


@asynccontextmanager
async def listen(db: Database, heard: Callable[[Hint], None]) -> AsyncIterator[None]:
    """Call `heard` for every hint while the context lasts; after each (re)connection once with `lost`."""
    task = asyncio.create_task(_listen(db, heard), name="hints")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listen(db: Database, heard: Callable[[Hint], None]) -> None:
    pause = 0.1
    while True:
        try:
            connection = await db.connect()
        except Exception as error:
            _log.debug("hints: cannot listen: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5)
            continue
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda *_, gone=gone: gone.set())
            await connection.add_listener("deployd", lambda *a: heard(_decode(str(a[3]))))
            pause = 0.1
            heard(Hint(lost=True))
            await gone.wait()
        except Exception as error:
            _log.debug("hints: lost: %s", error)
        finally:
            connection.terminate()


def _decode(payload: str) -> Hint:
    HINTS.add("received")
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        return Hint(lost=True)
