"""What becomes of a client's connection: its requests, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from .door import Door
from .exchange import Exchange, tell
from .headers import host_of
from .message import Framing, Malformed, Request, read_line, read_request
from .table import Table
from .wire import Wire

__all__ = ["Gateway"]

IDLE = 75.0
"""Seconds that a connection may wait for its next request."""
HEAD = 30.0
"""Seconds for the rest of a header whose first line came."""
LINGER = 2.0
"""Seconds for which what we do not want any more is read, so that our answer is not lost by a reset."""


class Gateway:
    """Serves connections from one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def serve(self, client: Wire, door: Door) -> None:
        """One connection that came in by this door, to its end. Raises nothing but CancelledError."""
        try:
            while await self._serve_one(client, door):
                pass
        except (OSError, EOFError):
            client.abort()
        finally:
            client.close()

    async def _serve_one(self, client: Wire, door: Door) -> bool:
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
        exchange = Exchange(client, request, body, host, door, self._table)
        running = asyncio.ensure_future(exchange.run())
        first: set[asyncio.Future[Any]] = {running, client.gone}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():  # nobody waits for the answer any more
                return False
            keep = running.result()
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        if not keep and body.framing is not Framing.NONE:
            await _linger(client)
        return keep


async def _await_request(client: Wire) -> Request | None:
    """The next request; None when there is none, or it does not come to its end in time."""
    try:
        async with asyncio.timeout(IDLE):
            while not (first := await read_line(client.reader)):
                pass  # an empty line before a request is to be forgiven
        async with asyncio.timeout(HEAD):
            return await read_request(client.reader, first)
    except (EOFError, TimeoutError):
        return None


async def _linger(client: Wire) -> None:
    """Say that we are done, and read on for a moment."""
    with contextlib.suppress(OSError):
        if client.writer.can_write_eof():
            client.writer.write_eof()
        async with asyncio.timeout(LINGER):
            while await client.reader.read(64 * 1024):
                pass
