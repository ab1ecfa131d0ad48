"""A connection to a service that does not speak HTTP: bytes both ways, for as long as both want."""

from __future__ import annotations

from .table import Table
from .wire import Wire, connect, tunnel

__all__ = ["pass_through"]


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
