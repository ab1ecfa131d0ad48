"""graphql-transport-ws, strict: a message that is none closes the connection with 4400, as the protocol says.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from typing import Any, ClassVar

import msgspec
from aiohttp import web
from graphql import GraphQLError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage

from deployd.errors import PostgresUnavailable, Unauthenticated
from deployd.graphql.context import Context
from deployd.graphql.cursor import Cursor
from deployd.graphql.leg import Leg
from deployd.graphql.sharing import Shareable, shareable
from deployd.web.channels import Channels
from deployd.web.subscriber import TOO_SLOW, SocketMember

__all__ = ["LINGER", "OPERATIONS", "TransportHandler"]

LINGER = 10.0
"""Seconds that whoever is cut off has to take what was sent before."""

OPERATIONS = 100
"""That one connection may have open at once."""

_log = logging.getLogger(__name__)


class _Payload(msgspec.Struct, forbid_unknown_fields=False):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815
    extensions: dict[str, Any] | None = None


class _Init(msgspec.Struct, tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(msgspec.Struct, tag="ping"):
    payload: dict[str, Any] | None = None


class _Pong(msgspec.Struct, tag="pong"):
    payload: dict[str, Any] | None = None


class _Subscribe(msgspec.Struct, tag="subscribe"):
    id: str
    payload: _Payload


class _Complete(msgspec.Struct, tag="complete"):
    id: str


_MESSAGE = _Init | _Ping | _Pong | _Subscribe | _Complete


class TransportHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One for each connection."""

    living: ClassVar[weakref.WeakSet[TransportHandler]] = weakref.WeakSet()
    """Those whose connection is open."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.request: web.Request = self.websocket.request  # type: ignore[attr-defined] # aiohttp's adapter
        self.ws: web.WebSocketResponse = self.websocket.ws  # type: ignore[attr-defined]
        self._channels: Channels = self.view.channels  # type: ignore[attr-defined] # ours
        self._revocations = 0
        self._members: dict[str, SocketMember] = {}
        self._cutting: asyncio.Task[bool] | None = None

    async def handle(self) -> None:
        """For as long as the connection is open."""
        self.living.add(self)
        try:
            await super().handle()
        finally:
            self.living.discard(self)

    async def handle_message(self, message: Any) -> None:
        """One frame, whatever it holds."""
        try:
            valid = msgspec.convert(message, _MESSAGE)
        except msgspec.ValidationError as error:
            await self.handle_invalid_message(f"invalid message: {error}"[:120])
            return
        if isinstance(valid, _Subscribe) and not valid.id:
            await self.handle_invalid_message("invalid message: empty id")
            return
        if isinstance(valid, _Init) and valid.payload is None:
            message = {"type": "connection_init"}
        try:
            if isinstance(valid, _Subscribe) and self.connection_acknowledged:
                await self._authenticate_again()
            await super().handle_message(message)
            if self.connection_acknowledged:
                self.connection_init_timeout_task = None  # what it was is not kept as long as the connection
        except Unauthenticated:
            await self.websocket.close(code=4403, reason="Forbidden")
        except PostgresUnavailable as error:  # who it is cannot be known just now
            _log.warning("a websocket is closed: %s", error)
            await self.websocket.close(code=4500, reason=error.code)
        except Exception:
            _log.exception("a websocket is closed: internal error")
            await self.websocket.close(code=4500, reason="internal error")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """An operation; one too many ends with an error, the others go on."""
        full = self.connection_acknowledged and len(self.operations) >= OPERATIONS
        if full and message["id"] not in self.operations:
            error = GraphQLError(
                f"this connection has {OPERATIONS} operations open, and no more are let in",
                extensions={
                    "code": "TOO_MANY_OPERATIONS",
                    "remedy": "Complete one, or open another connection.",
                },
            )
            payload = [error.formatted]
            await self.send_message({"id": message["id"], "type": "error", "payload": payload})
        else:
            await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """From its beginning. What others may ask for as well is told by a channel, once it has caught up."""
        shape = shareable(operation.query, operation.operation_name)
        if shape is None or self.context.actor is None:
            await super().run_operation(operation)
        else:
            operation.query = shape.query  # one text for all who hold it
            await self._follow(operation, shape, None, None)

    async def _follow(
        self,
        operation: Operation[Context, None],
        shape: Shareable,
        start: Cursor | None,
        began: float | None,
    ) -> None:
        try:
            while (leg := await self._catch_up(operation, shape, start, began)) is not None:
                start, began = leg.position, leg.began
        except Exception as error:
            await self.handle_task_exception(error)
            with suppress(Exception):
                await operation.send_operation_message({"id": operation.id, "type": "complete"})
            self.operations.pop(operation.id, None)
            raise

    async def _catch_up(
        self,
        operation: Operation[Context, None],
        shape: Shareable,
        start: Cursor | None,
        began: float | None,
        *,
        astray: bool = False,
    ) -> Leg | None:
        """By an execution of its own. None once a channel has it or it is complete; else try from there."""
        assert self.context.actor is not None, "it has introduced itself"
        key = shape.key(operation.variables, self.context.actor)
        leg = Leg(start=start) if astray else self._channels.leg(key, start, began)
        context = self.context.on(leg)
        results = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            root_value=self.root_value,
            operation_name=operation.operation_name,
        )
        async with aclosing(results):
            await self._send_result_stream(operation, results)
        if not leg.caught_up:
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
            return None
        assert context.actor is not None, "it may look"
        member = SocketMember(self, operation.id, context.actor, leg.began)
        self._members[operation.id] = member  # before it joins: it may be cut off by what it is told then
        if self._channels.join(key, operation.variables, member, leg, self._revocations):
            operation.task = None
            return None
        del self._members[operation.id]
        if leg.astray:
            return await self._catch_up(operation, shape, leg.position, leg.began, astray=True)
        self.context.actor = context.actor
        return leg

    def go_on(self, member: SocketMember, position: Cursor) -> None:
        """Execute the operation by itself from here on: the channel has parted with it."""
        self._members.pop(member.id, None)
        if (operation := self.operations.get(member.id)) is not None:
            shape = shareable(operation.query, operation.operation_name)
            assert shape is not None, "it was shared"
            self._have(operation, self._follow(operation, shape, position, member.began))

    def ended(self, member: SocketMember) -> None:
        """Say that the operation is complete."""
        self._members.pop(member.id, None)
        if (operation := self.operations.get(member.id)) is not None:
            self._have(operation, operation.send_operation_message({"id": member.id, "type": "complete"}))

    def _have(self, operation: Operation[Context, None], work: Coroutine[Any, Any, None]) -> None:
        operation.task = asyncio.create_task(work)
        operation.task.add_done_callback(self._task_done)

    def cut_off(self) -> None:
        """It takes too little of what it is sent: nothing more is sent, and it is told to come back."""
        if self._cutting is None:
            for name in tuple(self.operations):
                self._drop(name)
            self._cutting = asyncio.create_task(
                self.ws.close(code=TOO_SLOW, message=b"too slow: resume after the last cursor", drain=False)
            )
            self._channels.linger(self.request.protocol, LINGER)

    async def cleanup_operation(self, operation_id: str) -> None:
        """It is not wanted any more."""
        self._drop(operation_id)

    def _drop(self, operation_id: str) -> None:
        if (member := self._members.pop(operation_id, None)) is not None:
            member.leave()
        operation = self.operations.pop(operation_id, None)
        if operation is not None and operation.task is not None:
            operation.task.cancel()

    async def _authenticate_again(self) -> None:
        """A connection may outlive its token: each operation asks, as each HTTP request does."""
        if self.context.reauthenticate is not None:
            self._revocations = self._channels.revocations
            self.context.actor = await self.context.reauthenticate()

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """None: a document that is wrong ends its own operation, not the others of the connection."""
        return None
