"""/graphql: queries and mutations by POST, and everything over websockets (graphql-transport-ws)."""

from __future__ import annotations

import asyncio
import weakref
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

import msgspec
from aiohttp import WSCloseCode, web
from cross_web import HTTPException
from strawberry.aiohttp.views import GraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from deployd.errors import Unauthenticated
from deployd.graphql.context import Api, Context
from deployd.graphql.schema import SCHEMA
from deployd.model.actor import Actor
from deployd.web.authentication import Authentication
from deployd.web.guard import LARGEST
from deployd.web.problem import Refused, answer
from deployd.web.protocol import TransportHandler

__all__ = ["View"]

_INIT = timedelta(seconds=10)  # for a websocket's first message
_HEARTBEAT = 20.0  # seconds between pings; a peer that answers none for half of that is gone
_GOODBYE = 0.5  # seconds that a peer has to answer a close


class View(GraphQLView[Context, None]):
    """One for the application. `close` ends all websockets."""

    graphql_transport_ws_handler_class = TransportHandler

    def __init__(self, api: Api, authentication: Authentication, refused: Refused) -> None:
        """`refused` is told of everybody who is not let in by a websocket."""
        super().__init__(
            schema=SCHEMA,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT,
        )
        self._api = api
        self._authentication = authentication
        self._refused = refused
        self._sockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """A query or a mutation."""
        try:
            return await self.run(request=request)
        except HTTPException as error:
            return answer(error.status_code, "BAD_REQUEST", error.reason)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A websocket, and nothing else."""
        if not self.is_websocket_request(request):
            raise web.HTTPMethodNotAllowed("GET", ["POST"], text="send queries by POST, or open a websocket")
        return await self.run(request=request)

    async def close(self) -> None:
        """Tell every websocket that the server goes away; at most half a second."""
        await asyncio.gather(
            *(ws.close(code=WSCloseCode.GOING_AWAY, message=b"deployd stops") for ws in tuple(self._sockets)),
            return_exceptions=True,
        )

    def open_now(self) -> dict[str, int]:
        """How many websockets there are, and operations under way over them."""
        handlers = tuple(TransportHandler.living)
        return {
            "websockets": sum(not ws.closed for ws in tuple(self._sockets)),
            "operations": sum(len(one.operations) for one in handlers if one.view is self),
        }

    # -- what strawberry asks of its view

    async def get_context(
        self, request: web.Request, response: web.Response | web.WebSocketResponse
    ) -> Context:
        """Who calls by HTTP is known from here on; who opens a websocket, once it has introduced itself."""
        authorization = request.headers.get("Authorization")
        if not isinstance(response, web.WebSocketResponse):
            return Context(self._api, await self._authentication.actor(request, authorization))
        context = Context(self._api, None)

        async def reauthenticate() -> Actor:
            params = context.connection_params or {}
            given = params.get("authorization", authorization)
            try:
                if given is not None and not isinstance(given, str):
                    raise Unauthenticated("`authorization` is no text", remedy='Send "Bearer TOKEN".')
                return await self._authentication.actor(request, given)
            except Unauthenticated as error:
                self._refused(request, error)
                raise

        context.reauthenticate = reauthenticate
        return context

    async def on_ws_connect(self, context: Context) -> UnsetType:
        """After `connection_init`: 4403 for whoever is nobody."""
        assert context.reauthenticate is not None
        try:
            context.actor = await context.reauthenticate()
        except Unauthenticated as error:
            raise ConnectionRejectionError from error
        nothing: UnsetType = UNSET  # no payload with the acknowledgement
        return nothing

    async def create_websocket_response(
        self, request: web.Request, subprotocol: str | None
    ) -> web.WebSocketResponse:
        """A wrong token in the header is refused before anything is upgraded."""
        if (authorization := request.headers.get("Authorization")) is not None:
            await self._authentication.actor(request, authorization)
        ws = web.WebSocketResponse(
            protocols=[subprotocol] if subprotocol else [],
            timeout=_GOODBYE,
            heartbeat=_HEARTBEAT,
            compress=False,
            max_msg_size=LARGEST,
        )
        await ws.prepare(request)
        self._sockets.add(ws)
        return ws

    def is_websocket_origin_allowed(self, request: web.Request, origin: str) -> bool:
        """The guard has looked at it already."""
        return True

    def parse_json(self, data: str | bytes) -> Any:
        """The body of a POST: one object."""
        content = super().parse_json(data)
        if not isinstance(content, dict):
            raise HTTPException(400, "The request is not one JSON object")
        return content

    def decode_json(self, data: str | bytes) -> object:
        """Raises JSONDecodeError, whatever is wrong."""
        try:
            return msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            raise JSONDecodeError(str(error), "", 0) from error

    def encode_json(self, data: object) -> str:
        """Text, as websockets' frames have to be."""
        return msgspec.json.encode(data).decode()
