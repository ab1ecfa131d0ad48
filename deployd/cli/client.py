"""The client of the server's GraphQL API: queries, mutations, and subscriptions that miss nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from deployd import errors
from deployd.cli.exits import ServerUnreachable
from deployd.cli.keyed import keyed
from deployd.errors import DeploydError, Forbidden, ManifestError, PostgresUnavailable, Unauthenticated

if TYPE_CHECKING:
    import aiohttp

__all__ = ["PATIENCE", "REPEATING", "Client", "Json", "raised"]

Json = dict[str, Any]

PATH = "/graphql"
PROTOCOL = "graphql-transport-ws"
ANSWERING = 30.0
"""Seconds within which a query has to be answered."""
SENDING = 120.0
"""Seconds within which an upload has to be answered, once it is sent."""
PATIENCE = 60.0
"""Seconds for which a subscription tries to come back before it gives up."""
REPEATING = 10.0
"""Seconds for which a mutation is sent again, under its idempotency key, when no answer came."""
FIRST_PAUSE, LAST_PAUSE = 0.1, 2.0
"""Seconds between two tries to come back, doubled each time."""
HEARTBEAT = 15.0
"""Seconds between two pings, so that a dead connection is noticed."""
LARGEST_MESSAGE = 64 * 2**20
_REFUSALS: Mapping[int, type[DeploydError]] = {4401: Unauthenticated, 4403: Forbidden}
_OURS_TO_MEND = (4400, 4406, 4409, 4429)
"""Codes of the protocol by which coming back would only repeat the fault."""
_CLASSES = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, DeploydError) and one is not ManifestError
}


class Client:
    """A connection to one server. Use it as an asynchronous context."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """`url` without a slash at its end."""
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._introduction = {name.lower(): value for name, value in self._headers.items()}
        self._session: aiohttp.ClientSession | None = None
        self._met = False
        """Whether the server has ever answered: one that never did is not waited for."""

    async def __aenter__(self) -> Self:
        import aiohttp

        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=ANSWERING, sock_connect=5),
            middlewares=(self._stay,),
        )
        return self

    async def _stay(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Refuse to be sent elsewhere: a token is for its own server."""
        import aiohttp
        from yarl import URL

        if request.url.origin() != URL(self.url).origin():
            raise aiohttp.ClientError(f"it sends to another server, {request.url.origin()}")
        return await handler(request)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def query(self, document: str, variables: Json | None = None, *, patience: float = 0) -> Json:
        """The answer's data. For `patience` seconds it is asked again when the server does not answer.

        Patience is for what may be repeated. Raises ServerUnreachable, and what the server answered.
        """
        until, pause = time.monotonic() + patience, FIRST_PAUSE
        while True:
            try:
                return await self._ask(document, variables or {})
            except (ServerUnreachable, PostgresUnavailable):
                if time.monotonic() + pause > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)

    async def mutate(self, document: str, variables: Json, *, patience: float = REPEATING) -> Json:
        """The thing that the document's only mutation answers; its Problem is raised.

        It goes under an idempotency key, and is repeated for `patience` seconds when the connection breaks:
        it is carried out once. Not so when nobody was ever there.
        """
        whole = keyed(document, variables)
        if whole is None:
            data = await self.query(document, variables)
        else:
            try:
                data = await self.query(*whole)
            except (ServerUnreachable, PostgresUnavailable) as error:
                if not patience or (not self._met and _refused_to_connect(error)):
                    raise
                data = await self.query(*whole, patience=patience)
        thing: Json = next(iter(data.values()))
        if thing["__typename"] == "Problem":
            raise raised(thing)
        return thing

    async def subscribe(
        self,
        document: str,
        variables: Json,
        *,
        patience: float = PATIENCE,
        lost: Callable[[], None] | None = None,
    ) -> AsyncGenerator[Json, None]:
        """What the document's only field yields, until the server says that it is complete.

        A connection that breaks is made anew, going on `after` the last `cursor`: nothing is missed and
        nothing comes twice. `lost` is called once for each break. Raises as `query` does.
        """
        variables = dict(variables)
        broken_at: float | None = None
        pause = FIRST_PAUSE
        while True:
            try:
                async for value in self._listen(document, variables):
                    broken_at, pause = None, FIRST_PAUSE
                    variables["after"] = value.get("cursor", variables.get("after"))
                    yield value
                return
            except ServerUnreachable:
                now = time.monotonic()
                if broken_at is None:
                    broken_at = now
                    if lost is not None:
                        lost()
                if now + pause > broken_at + patience:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)

    async def send(self, path: str, content: AsyncIterable[bytes], size: int, type_: str) -> Json:
        """The answer to a POST of `size` bytes, however long they take. Raises as `query` does."""
        import aiohttp

        headers = {"Content-Type": type_, "Content-Length": str(size)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SENDING)
        status, body = await self._post(path, data=content, headers=headers, timeout=timeout)
        if status == 200 and isinstance(body, dict):
            return body
        raise self._refused(status, body, path)

    async def date(self) -> str | None:
        """The server's clock, as its answers say it; None where it says none. Raises ServerUnreachable."""
        import aiohttp

        assert self._session is not None, "use it as an asynchronous context"
        try:
            async with self._session.get(f"{self.url}/healthz") as response:
                return response.headers.get("Date")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error

    async def _ask(self, document: str, variables: Json) -> Json:
        status, body = await self._post(PATH, json={"query": document, "variables": variables})
        if isinstance(body, dict) and (body.get("errors") or isinstance(body.get("data"), dict)):
            return _data(body)
        raise self._refused(status, body, PATH)

    async def _post(self, path: str, **given: Any) -> tuple[int, object]:
        """Status and JSON of the answer; None for what is no JSON."""
        import aiohttp

        assert self._session is not None, "use it as an asynchronous context"
        try:
            async with self._session.post(self.url + path, **given) as response:
                self._met = True
                try:
                    return response.status, await response.json(content_type=None)
                except ValueError:
                    return response.status, None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error

    def _refused(self, status: int, body: object, path: str) -> DeploydError:
        """What an answer means that is not the one that was asked for."""
        if isinstance(body, dict) and isinstance(body.get("code"), str):
            return _error(body["code"], str(body.get("message", "")), str(body.get("remedy", "")), "")
        if status in (401, 403):
            refused = Unauthenticated if status == 401 else Forbidden
            return refused(remedy="Set DEPLOYD_TOKEN to a valid token.")
        return self._unreachable(f"it answered POST {path} with status {status} and nothing that is known")

    async def _listen(self, document: str, variables: Json) -> AsyncGenerator[Json, None]:
        """One connection's worth. Raises ServerUnreachable when it breaks."""
        import aiohttp

        assert self._session is not None, "use it as an asynchronous context"
        try:
            async with self._session.ws_connect(
                self.url + PATH, protocols=(PROTOCOL,), heartbeat=HEARTBEAT, max_msg_size=LARGEST_MESSAGE
            ) as socket:
                await socket.send_json({"type": "connection_init", "payload": self._introduction})
                async for frame in socket:
                    if frame.type is not aiohttp.WSMsgType.TEXT:
                        continue
                    message = frame.json()
                    match message.get("type"):
                        case "connection_ack":
                            await socket.send_json(
                                {
                                    "id": "1",
                                    "type": "subscribe",
                                    "payload": {"query": document, "variables": variables},
                                }
                            )
                        case "ping":
                            await socket.send_json({"type": "pong"})
                        case "next":
                            value: Json = next(iter(_data(message["payload"]).values()))
                            yield value
                        case "error":
                            _data({"errors": message["payload"]})
                        case "complete":
                            return
                code = socket.close_code or 1006
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                refused = Unauthenticated if error.status == 401 else Forbidden
                raise refused(remedy="Set DEPLOYD_TOKEN to a valid token.") from error
            raise self._unreachable(f"it answered the subscription with status {error.status}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        if code in _REFUSALS:
            raise _REFUSALS[code](remedy="Set DEPLOYD_TOKEN to a valid token.")
        if code in _OURS_TO_MEND:
            raise DeploydError(
                f"the server at {self.url} ended the subscription with code {code}",
                remedy="Compare the versions of both sides: `deployd version`.",
            )
        raise self._unreachable(f"the connection was closed with code {code}")

    def _unreachable(self, evidence: str) -> ServerUnreachable:
        return ServerUnreachable(
            f"the server at {self.url} does not answer",
            evidence=evidence,
            remedy="Start one by `deployd up` or `deployd serve`, or name another by --server or a context.",
        )


def _refused_to_connect(error: DeploydError) -> bool:
    """Whether the request never left."""
    import aiohttp

    return isinstance(error.__cause__, aiohttp.ClientConnectorError)


def _data(body: Json) -> Json:
    """The data of an answer. Raises its first error, under the class that its code names."""
    if problems := body.get("errors"):
        first = problems[0]
        more = first.get("extensions") or {}
        raise _error(
            str(more.get("code", "")),
            str(first.get("message", "")),
            str(more.get("remedy") or ""),
            str(more.get("evidence") or ""),
        )
    data: Json = body["data"]
    return data


def raised(problem: Json) -> DeploydError:
    """A Problem that the server answered, as the error that it is."""
    return _error(problem["code"], problem["message"], problem["remedy"], problem["evidence"])


def _error(code: str, message: str, remedy: str, evidence: str) -> DeploydError:
    if code == ManifestError.code:
        return ManifestError(tuple(message.splitlines()))
    return _CLASSES.get(code, DeploydError)(message, remedy=remedy, evidence=evidence)
