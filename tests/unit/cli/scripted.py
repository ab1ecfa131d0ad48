"""A server that answers /graphql as a test says: by POST, and over graphql-transport-ws."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
Stream = Callable[[web.WebSocketResponse, Json], Awaitable[None]]
"""What happens on one connection once the subscription's payload is there; then it is closed."""


@dataclass
class Scripted:
    """What to answer, and what was asked."""

    answers: list[Json | int | tuple[int, Json]] = field(default_factory=list)
    """One for each POST: a body, a status without one, or both."""
    streams: list[Stream] = field(default_factory=list)
    """One for each connection."""
    asked: list[Json] = field(default_factory=list)
    subscribed: list[Json] = field(default_factory=list)
    introductions: list[Json] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    url: str = ""
    runner: web.AppRunner | None = None

    async def stop(self) -> None:
        """Be gone before the context's end."""
        assert self.runner is not None
        await self.runner.cleanup()

    async def post(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.authorizations.append(request.headers.get("Authorization"))
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return web.Response(status=answer)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return web.json_response(body, status=status)

    async def get(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["graphql-transport-ws"], timeout=0.5)
        await socket.prepare(request)
        assert socket.ws_protocol == "graphql-transport-ws"
        introduction = await socket.receive_json()
        assert introduction["type"] == "connection_init"
        self.introductions.append(introduction)
        await socket.send_json({"type": "connection_ack"})
        subscription = await socket.receive_json()
        assert subscription["type"] == "subscribe"
        self.subscribed.append(subscription["payload"])
        await self.streams.pop(0)(socket, subscription["payload"])
        await socket.close()
        return socket


async def send(socket: web.WebSocketResponse, **data: Any) -> None:
    """One event."""
    await socket.send_json({"id": "1", "type": "next", "payload": {"data": data}})


async def complete(socket: web.WebSocketResponse) -> None:
    """The regular end."""
    await socket.send_json({"id": "1", "type": "complete"})


async def break_off(socket: web.WebSocketResponse) -> None:
    """As when the server is killed: no close frame."""
    assert socket._req is not None
    assert socket._req.transport is not None
    socket._req.transport.abort()


@asynccontextmanager
async def scripted(port: int = 0, **script: Any) -> AsyncIterator[Scripted]:
    """Serve until the end of the context."""
    server = Scripted(**script)
    app = web.Application()
    app.router.add_post("/graphql", server.post)
    app.router.add_get("/graphql", server.get)
    server.runner = runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
