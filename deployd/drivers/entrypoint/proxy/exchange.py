"""One request and its answer.

Every request has a connection of its own to the service: none can be closed under a request by a service
that ends, and an idle one never holds a server that serves one connection at a time. Such a server would
answer neither other requests nor the question for its health, and nothing that it says tells that it is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from http import HTTPStatus

from .body import Unframed, relay
from .door import Door
from .headers import ask_upgrade, forward, give_back
from .message import STATUS_LINE, Body, Fields, Framing, Malformed, Request, Response, read_response
from .record import Record
from .table import Found, Table
from .tunnel import tunnel
from .wire import STALL, Wire, connect

__all__ = ["Exchange", "tell"]

ANSWER = 300.0
"""Seconds within which a service has to begin its answer, once it has the whole request."""
TRIES = 3
"""Targets that one request may be taken to, where they do not take it."""
SOON = b"1"
"""Seconds after which a caller should ask again for a service that is being replaced."""
NOTHING = Body(Framing.NONE)
HARMLESS = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Asked twice they do what they do when asked once."""


class _Unanswered(Exception):
    """The service did not begin an answer. `again`: another target may be asked instead."""

    def __init__(self, message: str, *, again: bool, status: int = 502) -> None:
        super().__init__(message)
        self.again, self.status = again, status


class Exchange:
    """`run` once. It sees to everything but the client's connection, which is its caller's to close."""

    def __init__(
        self, client: Wire, peer: str, request: Request, body: Body, host: bytes, door: Door, table: Table
    ) -> None:
        self._client, self._request, self._body, self._host = client, request, body, host
        self._door, self._table = door, table
        self._peer = peer
        self._keep = request.minor == 1 and b"close" not in request.fields.tokens(b"connection")

    async def run(self) -> bool:
        """Answer; whether the connection can take another request. Raises OSError, EOFError: client lost."""
        tried: set[str] = set()
        failure: _Unanswered | None = None
        while True:
            found = self._find()
            if found is None:
                host = self._host.decode("latin-1")
                return await self._say(404, self._door.unknown(host, self._peer))
            record = found.record
            if found.refused is not None:
                text = f"{self._peer} may not come in here: {found.refused.name} does not allow it"
                return await self._say(403, text)
            target = self._table.choose(found, tried)
            if target is None or (failure is not None and not failure.again) or len(tried) == TRIES:
                if failure is None or (failure.again and not record.targets):
                    return await self._absent(record)
                return await self._say(failure.status, f"service {record.service} {failure}")
            try:
                return await self._ask(found.service_id, target)
            except _Unanswered as error:
                failure = error
                tried.add(target)
                self._table.load()  # it may go elsewhere by now

    def _find(self) -> Found | None:
        path = self._request.target.partition(b"?")[0].decode("latin-1")
        return self._door.find(self._host.decode("latin-1"), path, self._peer)

    async def _absent(self, record: Record) -> bool:
        more = [(b"Retry-After", SOON)] if record.soon else []
        return await self._say(503, f"service {record.service} {record.why}", more)

    async def _say(self, status: int, text: str, more: Sequence[tuple[bytes, bytes]] = ()) -> bool:
        keep = self._keep and self._body.framing is Framing.NONE
        await tell(self._client, self._request, status, text, keep=keep, more=more)
        return keep

    async def _ask(self, service_id: str, target: str) -> bool:
        """Ask this target. Raises _Unanswered while nothing was answered to the client."""
        with ExitStack() as under_way:
            self._table.begin(service_id, target)
            under_way.callback(self._table.end, service_id, target)
            try:
                upstream = await connect(target)
            except OSError as error:
                why = "connection refused" if isinstance(error, ConnectionRefusedError) else "no connection"
                raise _Unanswered(f"does not answer: {why} at {target}", again=True) from error
            try:
                return await self._pass(upstream, under_way)
            finally:
                upstream.abort()

    async def _pass(self, upstream: Wire, under_way: ExitStack) -> bool:
        head = forward(self._request, self._body, self._peer, self._host)
        upload = self._begin(upstream, head)
        try:
            response = await self._await_answer(upstream, upload)
            if response.status == 101:
                under_way.close()  # a tunnel has no end of its own that could be waited for
                await self._client.send(give_back(response, NOTHING, chunked=False, keep=False))
                await tunnel(self._client, upstream)
                return False
            return await self._answer(upstream, response) and (
                upload is None or (upload.done() and upload.exception() is None)
            )
        finally:
            if upload is not None:
                upload.cancel()
                await asyncio.gather(upload, return_exceptions=True)

    def _begin(self, upstream: Wire, head: bytes) -> asyncio.Task[None] | None:
        """Send the head, and the body as far as it is there; what brings the rest, if there is any."""
        if self._body.framing is Framing.NONE:
            upstream.write(head)
            return None
        chunked = self._body.framing is Framing.CHUNKED
        content = Unframed(self._client, self._body)
        if self._body.framing is Framing.LENGTH and len(self._client.buffer) >= self._body.length:
            upstream.write(head + content.take())
            return None
        return asyncio.ensure_future(
            relay(self._client, content, upstream, chunked=chunked, head=head, stall=STALL)
        )

    async def _await_answer(self, upstream: Wire, upload: asyncio.Task[None] | None) -> Response:
        """The head of the final answer, interim ones passed on."""
        while True:
            try:
                response = await self._read_head(upstream, upload)
            except EOFError as error:
                again = self._body.framing is Framing.NONE and self._request.method in HARMLESS
                raise _Unanswered("ended the connection without an answer", again=again) from error
            except Malformed as error:
                raise _Unanswered(f"does not speak HTTP/1.1: {error}", again=False) from error
            except TimeoutError as error:
                text = f"has not answered within {ANSWER:g} s"
                raise _Unanswered(text, again=False, status=504) from error
            if response.status == 101 and ask_upgrade(self._request) is None:
                raise _Unanswered("changed to another protocol unasked", again=False)
            if response.status >= 200 or response.status == 101:
                return response
            if self._request.minor == 1:
                await self._client.send(give_back(response, NOTHING, chunked=False, keep=True))

    async def _read_head(self, upstream: Wire, upload: asyncio.Task[None] | None) -> Response:
        """Raises EOFError, Malformed, TimeoutError of the service's; ConnectionError of the client's."""
        if upload is None or upload.done() or upstream.buffer or upstream.ended:
            return read_response(await upstream.head(STATUS_LINE, ANSWER, ANSWER))
        waiting = asyncio.ensure_future(upstream.more())
        try:
            await asyncio.wait({waiting, upload}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and isinstance(upload.exception(), EOFError | Malformed):
                raise ConnectionAbortedError("the request broke off")
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        return read_response(await upstream.head(STATUS_LINE, ANSWER, ANSWER))

    async def _answer(self, upstream: Wire, response: Response) -> bool:
        """Pass the answer on; whether all of it was."""
        try:
            body = response.body(self._request.method)
        except Malformed as error:
            raise _Unanswered(f"does not speak HTTP/1.1: {error}", again=False) from error
        framed = self._request.minor == 1 or body.framing in (Framing.NONE, Framing.LENGTH)
        chunked = framed and body.framing in (Framing.CHUNKED, Framing.CLOSE)
        head = give_back(response, body, chunked=chunked, keep=self._keep)
        try:
            await relay(upstream, Unframed(upstream, body), self._client, chunked=chunked, head=head)
        except (EOFError, Malformed):
            if not framed:  # only a reset tells this client that something is missing
                self._client.reset()
            return False
        return self._keep


async def tell(
    client: Wire,
    request: Request | None,
    status: int,
    text: str,
    *,
    keep: bool,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """An answer of the proxy's own, in plain words."""
    content = f"{text}\n".encode()
    fields = Fields(
        [
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(content)),
            (b"Cache-Control", b"no-store"),
            *more,
        ]
    )
    response = Response(status, HTTPStatus(status).phrase.encode(), fields)
    head = give_back(response, NOTHING, chunked=False, keep=keep)
    await client.send(head if request is not None and request.method == b"HEAD" else head + content)
