"""The sockets at which the proxy can be reached: what the table asks for, no more and no less."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from .channel import Listening
from .door import inner_door, outer_door
from .gateway import Gateway
from .table import Table
from .tunnel import pass_through
from .wire import Wire

__all__ = ["BACKLOG", "Listeners"]

Serve = Callable[[Wire], Coroutine[Any, Any, None]]
Purpose = tuple[str, str] | None
"""Of an internal address: the service's id and how it talks; None: an entrypoint."""

BACKLOG = 1024
INSIDE = "127.0.0.1"


class Listeners:
    """`keep` whenever the table may have changed."""

    def __init__(self, table: Table) -> None:
        self._table, self._gateway = table, Gateway(table)
        self._open: dict[tuple[str, int], tuple[Purpose, Listening]] = {}
        self._served: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self.failed: dict[str, str] = {}
        """Addresses that cannot be had now, `127.0.0.1:7080`, and why, in the system's words."""

    async def keep(self) -> None:
        """Close what is not wanted any more, open what is missing."""
        async with self._turn:
            wanted: dict[tuple[str, int], Purpose] = dict.fromkeys(self._table.entries)
            wanted |= {(INSIDE, port): what for port, what in self._table.inner.items()}
            for at, (what, server) in list(self._open.items()):
                if at not in wanted or wanted[at] != what:
                    server.close()
                    del self._open[at]
            self.failed = {}
            for at, what in wanted.items():
                if at in self._open:
                    continue
                try:
                    self._open[at] = what, _listen(at, partial(self._take, self._serve(at, what)))
                except OSError as error:
                    self.failed[f"{at[0]}:{at[1]}"] = error.strerror or str(error)

    def _serve(self, at: tuple[str, int], what: Purpose) -> Serve:
        if what is None:
            return partial(self._gateway.serve, door=outer_door(self._table, at))
        service_id, scheme = what
        if scheme == "tcp":
            return partial(pass_through, table=self._table, service_id=service_id)
        return partial(self._gateway.serve, door=inner_door(self._table, service_id))

    def _take(self, serve: Serve, raw: socket.socket) -> None:
        one = asyncio.get_running_loop().create_task(serve(Wire(raw)))
        self._served.add(one)
        one.add_done_callback(self._served.discard)

    def close(self) -> None:
        """Nobody new comes in."""
        for _, server in self._open.values():
            server.close()


def _listen(at: tuple[str, int], taken: Callable[[socket.socket], object]) -> Listening:
    host, port = at
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):  # `::` means everybody, of IPv4 too
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        return Listening(listener, taken)
    except BaseException:
        listener.close()
        raise
