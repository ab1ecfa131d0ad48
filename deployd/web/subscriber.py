"""Members of a channel: an operation of a websocket, and a stream of server-sent events.

A member is told by a write that does not wait. Who takes so little that more than BEHIND is kept for it is
cut off, so that it holds up nobody: it goes on from its last cursor once it comes back.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec
from aiohttp import web
from strawberry.types.graphql import OperationType

from deployd.graphql.context import Context
from deployd.graphql.cursor import Cursor
from deployd.graphql.leg import Leg
from deployd.graphql.schema import SCHEMA
from deployd.graphql.sharing import Shareable
from deployd.model.actor import Actor
from deployd.web.channel import Channel, Event
from deployd.web.channels import Channels
from deployd.web.operation import Operation

__all__ = ["BEHIND", "TOO_SLOW", "Connection", "SocketMember", "TooSlow", "follow"]

BEHIND = 1024 * 1024
"""Bytes that are kept for one connection."""
TOO_SLOW = 4013
"""The code with which a websocket is closed that takes too little. (1013 is `try again later`.)"""


class TooSlow(Exception):
    """A stream of events has to end, since its client takes too little."""


class Connection(Protocol):
    """A websocket, as its members see it."""

    request: web.Request
    ws: web.WebSocketResponse
    context: Context

    def cut_off(self) -> None:
        """Close it with TOO_SLOW."""

    def go_on(self, member: SocketMember, position: Cursor) -> None:
        """Its operation has to be executed by itself from here on."""

    def ended(self, member: SocketMember) -> None:
        """Its operation is complete."""


class SocketMember:
    """An operation of a websocket. Frames go straight to the transport: most are the same for all."""

    __slots__ = ("_connection", "_protocol", "_transport", "actor", "began", "channel", "context", "id")

    def __init__(self, connection: Connection, id: str, actor: Actor, began: float) -> None:  # noqa: A002
        self._connection, self.context, self.actor, self.began = connection, connection.context, actor, began
        self.id = id
        self._protocol, self._transport = connection.request.protocol, connection.request.transport
        self.channel: Channel | None = None

    def tell(self, event: Event) -> None:
        """Write the frame; whoever does not take what came before is cut off."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._connection.ws.closed:
            return  # it is about to leave
        transport.write(event.frames.get(self.id) or _frame(event, self.id))
        if self._protocol.writing_paused and transport.get_write_buffer_size() > BEHIND:
            self._connection.cut_off()

    def go_on(self, position: Cursor) -> None:
        """Hand the operation back to its connection."""
        self._connection.go_on(self, position)

    def end(self) -> None:
        """Hand the operation back to its connection."""
        self._connection.ended(self)

    def leave(self) -> None:
        """The operation was completed, or its connection is gone."""
        if self.channel is not None:
            self.channel.leave(self)


def _frame(event: Event, id: str) -> bytes:  # noqa: A002
    """A `next` in a text frame (RFC 6455, 5.2: final, unmasked); kept for the others with this id."""
    text = b'{"id":%b,"type":"next","payload":%b}' % (msgspec.json.encode(id), event.payload)
    size = len(text)
    if size < 126:
        head = struct.pack("!BB", 0x81, size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x81, 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 127, size)
    frame = event.frames[id] = head + text
    return frame


class _StreamMember:
    """A stream of events: what it has not taken yet waits here."""

    def __init__(self, context: Context, actor: Actor, began: float) -> None:
        self.context, self.actor, self.began = context, actor, began
        self.channel: Channel | None = None
        self.position: Cursor | None = None
        """From where it has to go on by itself, after what waits."""
        self._waiting: deque[bytes] = deque()
        self._behind = 0
        self._over = self._slow = False
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Keep it."""
        self._behind += len(event.payload)
        self._waiting.append(event.payload)
        if self._behind > BEHIND:
            self._slow = True
            self._waiting.clear()
            self.leave()
        self._news.set()

    def go_on(self, position: Cursor) -> None:
        """Once it has taken what waits."""
        self.position = position
        self.end()

    def end(self) -> None:
        """Once it has taken what waits."""
        self._over = True
        self._news.set()

    def leave(self) -> None:
        """Its client has gone, or takes too little."""
        if self.channel is not None:
            self.channel.leave(self)

    async def told(self) -> bytes | None:
        """The next one; None once nothing more comes. Raises TooSlow."""
        while not self._waiting:
            if self._slow:
                raise TooSlow
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        payload = self._waiting.popleft()
        self._behind -= len(payload)
        return payload


async def follow(
    channels: Channels,
    shape: Shareable,
    operation: Operation,
    context: Context,
    revocations: int,
    allowed: frozenset[OperationType],
    encode: Callable[[AsyncGenerator[object, None]], AsyncGenerator[bytes, None]],
) -> AsyncGenerator[bytes, None]:
    """The results of a subscription as JSON: by itself until it has caught up, then those of a channel."""
    assert context.actor is not None, "a request has somebody who sent it"
    start: Cursor | None = None
    began: float | None = None
    astray = False
    while True:
        key = shape.key(operation.variables, context.actor)
        leg = Leg(start=start) if astray else channels.leg(key, start, began)
        own = context.on(leg)
        results = await SCHEMA.stream(
            operation.query,
            variable_values=operation.variables,
            operation_name=operation.operation_name,
            context_value=own,
            allowed_operation_types=allowed,
        )
        async with aclosing(encode(results)) as bodies:
            async for body in bodies:
                yield body
        if not leg.caught_up:
            return
        assert own.actor is not None, "it may look"
        member = _StreamMember(context, own.actor, leg.began)
        start, began, context.actor = leg.position, leg.began, own.actor
        if not channels.join(key, operation.variables, member, leg, revocations):
            astray = leg.astray
            continue
        try:
            while (told := await member.told()) is not None:
                yield told
        finally:
            member.leave()
        if member.position is None:
            return
        start = member.position
