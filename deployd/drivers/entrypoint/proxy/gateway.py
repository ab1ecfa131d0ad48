"""What becomes of a client's connection: its requests, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from .door import Door
from .exchange import Exchange, tell
from .headers import host_of
from .message import REQUEST_LINE, Framing, Malformed, Request, read_request
from .table import Table
from .wire import Wire

__all__ = ["Gateway"]

IDLE = 75.0
"""Seconds that a connection may wait for its next request."""
HEAD = 30.0
"""Seconds for the rest of a header whose first line came."""
LINGER = 2.0
"""Seconds for which what we do not want any more is read, so that our answer is not lost by a reset."""
LINE_ENDS = (b"\r", b"\n")


class Gateway:
    """Serves connections from one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def serve(self, client: Wire, door: Door) -> None:
        """One connection that came in by this door, to its end. Raises nothing but CancelledError."""
        task, peer = asyncio.current_task(), client.peer or "unknown"
        assert task is not None
        try:
            while await self._serve_one(client, peer, door, task):
                pass
        except (OSError, EOFError):
            client.abort()
        except asyncio.CancelledError:
            if not client.ended:
                raise
        finally:
            client.close()

    async def _serve_one(self, client: Wire, peer: str, door: Door, task: asyncio.Task[Any]) -> bool:
        """One request; whether another may follow."""
        try:
            request = await _await_request(client)
            if request is None:
                return False
            host, body = host_of(request, needed=door.names), request.body()
            if request.method == b"CONNECT":
                raise Malformed("CONNECT is for proxies to elsewhere; this one leads to services here", 501)
        except Malformed as error:
            await tell(client, None, error.status, str(error), keep=False)
            await _linger(client)
            return False
        if client.ended:
            return False
        client.abandoned = task.cancel  # nobody waits for the answer any more
        try:
            keep = await Exchange(client, peer, request, body, host, door, self._table).run()
        finally:
            client.abandoned = None
        if not keep and body.framing is not Framing.NONE:
            await _linger(client)
        return keep


async def _await_request(client: Wire) -> Request | None:
    """The next request; None when there is none, or it does not come to its end in time."""
    try:
        while True:
            if not client.buffer:
                await client.more(IDLE)
            while (
                client.buffer[:1] in LINE_ENDS and client.buffer
            ):  # an empty line before it is to be forgiven
                del client.buffer[:1]
            if client.buffer or client.ended:
                return read_request(await client.head(REQUEST_LINE, IDLE, HEAD))
    except (EOFError, TimeoutError):
        return None


async def _linger(client: Wire) -> None:
    """Say that we are done, and read on for a moment."""
    with contextlib.suppress(OSError):
        client.end_writing()
        async with asyncio.timeout(LINGER):
            while not client.ended:
                client.buffer.clear()
                await client.more()
