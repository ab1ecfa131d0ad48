"""Which header fields pass in which form: pure."""

from __future__ import annotations

import re
from functools import lru_cache

from .message import Body, Fields, Framing, Malformed, Request, Response

__all__ = ["ask_upgrade", "forward", "give_back", "host_of"]

HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)
"""They speak of one connection only. Trailers are not passed on, as any recipient may drop them."""
CLAIMED = frozenset((b"forwarded", b"x-real-ip"))
"""Together with X-Forwarded-…: a client could claim anything with them."""
NOT_FORWARDED = HOP | CLAIMED | {b"content-length"}


def host_of(request: Request, *, needed: bool = True) -> bytes:
    """Whom the request is for, as `host[:port]`; an absolute target is made a path. Raises Malformed.

    `needed`: whether a request of HTTP/1.1 without a host is refused.
    """
    hosts = request.fields.values(b"host")
    if len(hosts) > 1 or (not hosts and needed and request.minor == 1):
        raise Malformed("the request has no Host, or several")
    if request.target.startswith(b"/") or request.target == b"*":
        return hosts[0] if hosts else b""
    absolute = re.fullmatch(rb"(?i:https?)://([^/?#]*)([^#]*).*", request.target)
    if absolute is None:
        raise Malformed("the request's target is no path")
    path = absolute[2] or b"/"
    request.target = path if path.startswith(b"/") else b"/" + path
    rest = [(name, value) for lower, name, value in request.fields.all if lower != b"host"]
    request.fields = Fields([(b"Host", absolute[1]), *rest])
    return absolute[1]


def ask_upgrade(request: Request) -> bytes | None:
    """The protocol that the client wants to change to, WebSocket mostly; never HTTP/2."""
    wanted = request.fields.values(b"upgrade")
    if request.minor == 0 or b"upgrade" not in request.fields.tokens(b"connection") or len(wanted) != 1:
        return None
    return None if b"h2c" in request.fields.tokens(b"upgrade") else wanted[0]


def forward(request: Request, body: Body, client: str, host: bytes) -> bytes:
    """The head as the service gets it: who asks for what is said by us, the connection is ours."""
    listed = request.fields.tokens(b"connection")
    dropped = NOT_FORWARDED.union(listed) - {b"host"} if listed else NOT_FORWARDED
    if request.minor == 0:
        dropped |= {b"expect"}
    lines = [b"%s %s HTTP/1.1" % (request.method, request.target)]
    lines += [
        b"%s: %s" % (name, value)
        for lower, name, value in request.fields.all
        if lower not in dropped and not lower.startswith(b"x-forwarded-")
    ]
    if body.framing is Framing.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    elif body.framing is Framing.LENGTH or request.fields.values(b"content-length"):
        lines.append(b"Content-Length: %d" % body.length)
    if protocol := ask_upgrade(request):
        lines.append(b"Connection: Upgrade\r\nUpgrade: %s" % protocol)
    else:
        lines.append(b"Connection: close")
    lines.append(_caller(client, host))
    return b"\r\n".join(lines)


@lru_cache(1024)
def _caller(client: str, host: bytes) -> bytes:
    """Who asks, and for whom; and the empty line behind it."""
    node = (f'"[{client}]"' if ":" in client else client).encode()
    return (
        b"X-Forwarded-For: %s\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: %s\r\n"
        b'Forwarded: for=%s;host="%s";proto=http\r\n\r\n' % (client.encode(), host, node, _quoted(host))
    )


def _quoted(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def give_back(response: Response, body: Body, *, chunked: bool, keep: bool) -> bytes:
    """The head as the client gets it: `chunked` is how we frame the body, `keep` whether we listen on."""
    listed = response.fields.tokens(b"connection")
    dropped = HOP.union(listed) if listed else HOP
    if body.framing is not Framing.NONE:
        dropped |= {b"content-length"}
    lines = [b"HTTP/1.1 %d %s" % (response.status, response.reason)]
    lines += [b"%s: %s" % (name, value) for lower, name, value in response.fields.all if lower not in dropped]
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif body.framing is Framing.LENGTH:
        lines.append(b"Content-Length: %d" % body.length)
    if response.status == 101:
        lines.append(b"Connection: Upgrade")
        lines += [b"Upgrade: %s" % value for value in response.fields.values(b"upgrade")]
    elif response.status >= 200 and not keep:
        lines.append(b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
