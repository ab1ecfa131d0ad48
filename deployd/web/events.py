"""Operations as server-sent events: graphql-sse, in its mode of distinct connections.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md

Each result is a `next`, and `complete` says that the operation has ended. When the server stops, or the
client takes too little, the answer ends without it: its client would take it for the end, rather than
connect anew and read on from its cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from deployd.web.operation import Media
from deployd.web.subscriber import TooSlow

__all__ = ["HEARTBEAT", "PATIENCE", "stream"]

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody between takes the connection for dead."""
PATIENCE = 30.0
"""Seconds that a client has to take what it is sent."""
LOOK = 1.0
"""Seconds after which it is noticed that a client has gone away."""

_HEADERS = {
    "Content-Type": Media.EVENTS.value,
    "X-Accel-Buffering": "no",  # nginx, should it be between, passes events on at once
}


async def stream(
    request: web.Request, results: AsyncGenerator[bytes, None], stopping: asyncio.Event
) -> web.StreamResponse:
    """Send each result until they end, the client goes away, or the server stops. `results` is closed."""
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)  # its status is known before anything else is
    clock = asyncio.get_running_loop().time
    stop = asyncio.create_task(stopping.wait())
    coming: asyncio.Task[bytes | None] | None = None
    try:
        spoken = clock()
        while not stop.done() and not _gone(request):
            coming = coming or asyncio.create_task(_next(results))
            pause = min(LOOK, max(0.0, spoken + HEARTBEAT - clock()))
            await asyncio.wait([coming, stop], timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                found, coming = coming.result(), None
                if found is None:
                    await _write(request, response, b"event: complete\ndata: \n\n")
                    break
                await _write(request, response, b"event: next\ndata: " + found + b"\n\n")
            elif clock() - spoken < HEARTBEAT:
                continue
            else:
                await _write(request, response, b":\n\n")
            spoken = clock()
    except (ConnectionError, TimeoutError, TooSlow):
        pass  # it has gone away, or takes nothing, or too little
    finally:
        running = [one for one in (coming, stop) if one is not None]
        for one in running:
            one.cancel()
        await asyncio.wait(running)
        await results.aclose()  # not before: a generator that runs cannot be closed
    return response


def _gone(request: web.Request) -> bool:
    """Whether the client has closed its connection. aiohttp tells nobody who does not write."""
    return request.transport is None or request.transport.is_closing()


async def _next(results: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(results, None)


async def _write(request: web.Request, response: web.StreamResponse, text: bytes) -> None:
    """Raises TimeoutError once the client has taken nothing for too long; the connection is cut then."""
    try:
        async with asyncio.timeout(PATIENCE):
            await response.write(text)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise
