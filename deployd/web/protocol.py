"""graphql-transport-ws, strict: a message that is none closes the connection with 4400, as the protocol says.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import logging
import weakref
from typing import Any, ClassVar

import msgspec
from graphql import GraphQLError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage

from deployd.errors import PostgresUnavailable, Unauthenticated
from deployd.graphql.context import Context

__all__ = ["OPERATIONS", "TransportHandler"]

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

    async def _authenticate_again(self) -> None:
        """A connection may outlive its token: each operation asks, as each HTTP request does."""
        if self.context.reauthenticate is not None:
            self.context.actor = await self.context.reauthenticate()

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """None: a document that is wrong ends its own operation, not the others of the connection."""
        return None
