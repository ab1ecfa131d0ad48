"""A connection to a service that does not speak HTTP: bytes both ways, for as long as both want."""

from __future__ import annotations

import asyncio

from .table import Table
from .wire import PIECE, Wire, connect

__all__ = ["pass_through", "tunnel"]


async def pass_through(client: Wire, *, table: Table, service_id: str) -> None:
    """One connection, to its end; it counts as one request. Raises nothing but CancelledError."""
    tried: set[str] = set()
    try:
        while (found := table.inside(service_id)) is not None:
            target = table.choose(found, tried)
            if target is None:
                client.reset()  # an error, which nobody can take for an answer without content
                return
            tried.add(target)
            table.begin(service_id, target)
            try:
                upstream = await connect(target)
            except OSError:
                table.load()
                continue
            else:
                try:
                    await tunnel(client, upstream)
                finally:
                    upstream.close()
                return
            finally:
                table.end(service_id, target)
    finally:
        client.close()


async def tunnel(one: Wire, other: Wire) -> None:
    """Pass bytes both ways until both have ended, or either is lost. Never raises but CancelledError."""

    async def pump(source: Wire, sink: Wire) -> None:
        while not source.ended or source.buffer:
            if source.buffer:
                await sink.send(source.take(2 * PIECE))
            else:
                await source.more()
        if source.broken:
            raise EOFError("the connection was lost")
        sink.end_writing()

    pumps = [asyncio.ensure_future(pump(one, other)), asyncio.ensure_future(pump(other, one))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
