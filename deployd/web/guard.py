"""What a request has to look like before anybody reads it: its host, its origin, its content.

A web page that a developer looks at can send requests to servers on the same machine, and whoever calls
from there may need no token. What stops it:

- its own origin is not ours, and a name that it makes point at us is none of our hosts;
- a POST has a content type that a page cannot send elsewhere without asking first (CORS), and we never agree;
- browsers say (`Sec-Fetch-Site`) when a page of another site, or of another port, causes a request, even one
  that has no `Origin`, such as an image's. Only a link that leads here is followed: to a page, never to data;
- a GET that executes something (a query, never a mutation) has to be one that no page could have caused.
  Its answer could not be read, but it would take time and its length could be measured.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Middleware

from deployd.sources import UPLOAD_MAXIMUM
from deployd.web.problem import Handler, answer

__all__ = ["LARGEST", "LOOPBACK_HOSTS", "UPLOADS", "guard", "is_unforgeable", "secure"]

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
LARGEST = 1024 * 1024  # bytes of a body or a websocket's message, but for uploads
UPLOADS = "/api/v1/uploads"

_AUTHORITY = r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]+))(?::(?P<port>[0-9]{1,5}))?"
_HOST = re.compile(_AUTHORITY)
_ORIGIN = re.compile(r"(?P<scheme>https?)://" + _AUTHORITY)
_PORTS = {"http": 80, "https": 443}


class _Authority(NamedTuple):
    name: str
    port: int | None


def _authority(match: re.Match[str]) -> _Authority:
    return _Authority((match["six"] or match["name"]).lower(), int(match["port"]) if match["port"] else None)


def guard(allowed_hosts: frozenset[str]) -> Middleware:
    """A middleware that lets only well-formed requests to one of these hosts (without port) through."""
    names = frozenset(host.lower().strip("[]") for host in allowed_hosts)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        return refuse(request, names) or await handler(request)

    return check


def refuse(request: web.Request, names: frozenset[str]) -> web.Response | None:
    """Why the request is not let through; None where it is."""
    found = _HOST.fullmatch(request.headers.get("Host", ""))
    host = _authority(found) if found else None
    if host is None or host.name not in names or len(request.headers.getall("Host")) > 1:
        return answer(
            421,
            "UNKNOWN_HOST",
            "this server does not answer under that host name",
            f"Use one of {', '.join(sorted(names))}.",
        )
    for origin in request.headers.getall("Origin", ()):
        if not _is_own(origin, host, names):
            return answer(403, "FOREIGN_ORIGIN", "pages of another origin may not use this server")
    if _is_foreign(request):
        return answer(403, "FOREIGN_ORIGIN", "pages of another origin may not use this server")
    wanted, largest = "application/json", LARGEST
    if request.path == UPLOADS:
        wanted, largest = "application/gzip", UPLOAD_MAXIMUM
    if request.method == "POST" and request.content_type != wanted:
        return answer(415, "CONTENT_TYPE", f"the content is not {wanted}", f"Send `Content-Type: {wanted}`.")
    if (request.content_length or 0) > largest:
        return answer(413, "TOO_LARGE", f"the content is larger than {largest} bytes", "Send less.")
    return None


def _is_own(origin: str, host: _Authority, names: frozenset[str]) -> bool:
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return False
    other, standard = _authority(found), _PORTS[found["scheme"]]
    return other.name in names and (other.port or standard) == (host.port or standard)


def _is_foreign(request: web.Request) -> bool:
    """Whether a browser says that a page of another origin caused this, other than by a link."""
    if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return False
    return request.method != "GET" or request.headers.get("Sec-Fetch-Mode") != "navigate"


def is_unforgeable(request: web.Request) -> bool:
    """Whether no page of another origin can have caused this GET, in any browser.

    Such a page cannot send any of these headers without a preflight request, which nobody here answers;
    and `Sec-Fetch-Site` not at all.
    """
    return (
        "Authorization" in request.headers
        or "GraphQL-Require-Preflight" in request.headers
        or request.content_type == "application/json"
        or request.headers.get("Sec-Fetch-Site") == "same-origin"
    )


async def secure(_: web.Request, response: web.StreamResponse) -> None:
    """Headers of every response: nothing of it is guessed at, kept, or shown inside another page.

    The playground has a policy of its own, and its parts may be kept.
    """
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.headers["Referrer-Policy"] = "no-referrer"
