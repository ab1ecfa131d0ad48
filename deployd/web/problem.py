"""Whatever is refused or fails over HTTP is answered as JSON: code, message, remedy."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from deployd.errors import DeploydError, Forbidden, InputError, NotFound, PostgresUnavailable, Unauthenticated
from deployd.model.identifier import new_id

__all__ = ["answer", "errors_as_problems"]

_log = logging.getLogger(__name__)

Refused = Callable[[web.Request, DeploydError], None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS: dict[type[DeploydError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    InputError: 400,
    PostgresUnavailable: 503,
}
"""The first that fits counts."""


def answer(
    status: int, code: str, message: str, remedy: str = "", headers: dict[str, str] | None = None
) -> web.Response:
    """The problem as a response."""
    body = msgspec.json.encode({"code": code, "message": message, "remedy": remedy})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def errors_as_problems(refused: Refused) -> Middleware:
    """A middleware: errors on purpose with their code; all others masked, under an id that the log has too.

    `refused` is told of everybody who is not let in.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await _answered(request, handler)
        except (Unauthenticated, Forbidden) as error:
            refused(request, error)
            return _problem(request, error)

    return middleware


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        code = error.reason.upper().replace(" ", "_")
        return answer(error.status, code, error.text or error.reason, headers=headers)
    except (Unauthenticated, Forbidden):
        raise
    except DeploydError as error:
        return _problem(request, error)
    except Exception as error:
        return _masked(request, error)


def _problem(request: web.Request, error: DeploydError) -> web.Response:
    status = next((status for type_, status in _STATUS.items() if isinstance(error, type_)), None)
    if status is None:
        return _masked(request, error)
    headers = {"WWW-Authenticate": 'Bearer realm="deployd"'} if status == 401 else None
    return answer(status, error.code, error.message, error.remedy, headers)


def _masked(request: web.Request, error: Exception) -> web.Response:
    number = str(new_id())
    _log.error("internal error %s at %s %s", number, request.method, request.path, exc_info=error)
    return answer(500, "INTERNAL", "internal error", f"Look for {number} in the server's log.")
