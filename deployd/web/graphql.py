"""/graphql: one answer to a POST or a GET, server-sent events, websockets, and the playground's page.

A GET executes queries only, and follows subscriptions; a mutation has to be a POST. The guard has let the
request through before. What it executes is executed by `SCHEMA` alike, whatever brings the answer.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from datetime import timedelta
from json import JSONDecodeError
from typing import Any, TypedDict

import msgspec
from aiohttp import WSCloseCode, web
from strawberry.aiohttp.views import GraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UNSET, UnsetType

from deployd.errors import Unauthenticated
from deployd.graphql import answering
from deployd.graphql.answering import is_known
from deployd.graphql.context import Api, Context
from deployd.graphql.schema import SCHEMA
from deployd.graphql.sharing import shareable
from deployd.model.actor import Actor
from deployd.web.authentication import Authentication
from deployd.web.channels import Channels
from deployd.web.events import stream
from deployd.web.guard import LARGEST, is_unforgeable
from deployd.web.operation import Media, media, read
from deployd.web.playground import page
from deployd.web.problem import Refused, answer
from deployd.web.protocol import OPERATIONS, TransportHandler
from deployd.web.subscriber import follow

__all__ = ["View"]

_INIT = timedelta(seconds=10)  # for a websocket's first message
_HEARTBEAT = 20.0  # seconds between pings; a peer that answers none for half of that is gone
_GOODBYE = 0.5  # seconds that a peer has to answer a close

_BY_GET = frozenset({OperationType.QUERY, OperationType.SUBSCRIPTION})
_BY_POST = _BY_GET | {OperationType.MUTATION}


class _Given(TypedDict):
    variable_values: dict[str, Any] | None
    operation_name: str | None
    context_value: Context


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
            max_subscriptions_per_connection=OPERATIONS,
        )
        self._api = api
        self._authentication = authentication
        self._refused = refused
        self.channels = Channels(api)
        self._stopping = asyncio.Event()
        self._sockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Any operation; a subscription as events."""
        wanted = media(request.headers.get("Accept", ""), (Media.JSON, Media.GRAPHQL, Media.EVENTS))
        return await self._answer(request, wanted, _BY_POST)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A websocket, a query, events, or the playground for who looks with a browser."""
        if self.is_websocket_request(request):
            return await self.run(request=request)
        offered = (Media.JSON, Media.GRAPHQL, Media.EVENTS, Media.PAGE)
        wanted = media(request.headers.get("Accept", ""), offered)
        if wanted is Media.PAGE:
            return page(request)
        if "query" not in request.query:
            raise web.HTTPMethodNotAllowed(
                "GET", ["POST"], text="send queries by POST or as `?query=`, or open a websocket"
            )
        if not is_unforgeable(request):
            return answer(
                403,
                "FORGEABLE",
                "any web page could make a browser send this",
                "Send a token, or `GraphQL-Require-Preflight: 1`; or use POST.",
            )
        return await self._answer(request, wanted, _BY_GET)

    async def _answer(
        self, request: web.Request, wanted: Media, allowed: frozenset[OperationType]
    ) -> web.StreamResponse:
        revocations = self.channels.revocations
        operation = await read(request)
        if wanted is not Media.EVENTS and is_known(operation.query):
            reader = Context(self._api, await self._authentication.reader(request))
            data = await answering.answer(
                operation.query, operation.variables, operation.operation_name, reader
            )
            if data is not None:
                return _response(wanted, 200, {"data": data})
        context = await self.get_context(request, web.Response())
        given: _Given = {
            "variable_values": operation.variables,
            "operation_name": operation.operation_name,
            "context_value": context,
        }
        if wanted is Media.EVENTS:
            if (shape := shareable(operation.query, operation.operation_name)) is not None:
                events = follow(self.channels, shape, operation, context, revocations, allowed, _bodies)
                return await stream(request, events, self._stopping)
            results = await self.schema.stream(operation.query, **given, allowed_operation_types=allowed)
            return await stream(request, _bodies(results), self._stopping)
        try:
            result = await self.schema.execute(
                operation.query, **given, allowed_operation_types=allowed - {OperationType.SUBSCRIPTION}
            )
        except CannotGetOperationTypeError as error:
            raise web.HTTPBadRequest(text=error.as_http_error_reason()) from error
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.SUBSCRIPTION:
                text = "subscriptions need `Accept: text/event-stream`, or a websocket"
                raise web.HTTPBadRequest(text=text) from error
            text = "mutations are executed by POST only"
            raise web.HTTPMethodNotAllowed(request.method, ["POST"], text=text) from error
        status, body = outcome(result)
        return _response(wanted, status, body)

    async def close(self) -> None:
        """End events, and tell every websocket that the server goes away; at most half a second."""
        self._stopping.set()
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

            async def again() -> Actor:
                return await self._authentication.actor(request, authorization)

            return Context(self._api, await again(), again)
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

    def decode_json(self, data: str | bytes) -> object:
        """Raises JSONDecodeError, whatever is wrong."""
        try:
            return msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            raise JSONDecodeError(str(error), "", 0) from error

    def encode_json(self, data: object) -> str:
        """Text, as websockets' frames have to be."""
        return msgspec.json.encode(data).decode()


def _response(wanted: Media, status: int, body: dict[str, object]) -> web.Response:
    return web.Response(
        status=status if wanted is Media.GRAPHQL else 200,
        body=msgspec.json.encode(body),
        headers={"Content-Type": f"{wanted.value}; charset=utf-8"},
    )


def outcome(result: ExecutionResult) -> tuple[int, dict[str, object]]:
    """Status and body: 400 for an operation that was not executed (500 where that is our fault), else 200.

    One that was not executed has no `data`; null there says that it was, and came to nothing.
    """
    errors = [one.formatted for one in result.errors or ()]
    if result.data is None and errors and all("path" not in one for one in errors):
        ours = any((one.get("extensions") or {}).get("code") == "INTERNAL" for one in errors)
        return 500 if ours else 400, {"errors": errors}
    return 200, {"data": result.data, **({"errors": errors} if errors else {})}


async def _bodies(results: AsyncIterable[Any]) -> AsyncGenerator[bytes, None]:
    """Each result as JSON: on one line, as events need it."""
    async with aclosing(results):  # type: ignore[type-var]
        async for result in results:
            yield msgspec.json.encode(outcome(result)[1])
