"""Which header fields pass in which form: pure."""

from __future__ import annotations

import re

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


def host_of(request: Request, *, needed: bool = True) -> bytes:
    """Whom the request is for, as `host[:port]`; an absolute target is made a path. Raises Malformed.

    `needed`: whether a request of HTTP/1.1 without a host is refused.
    """
    hosts = request.fields.values(b"host")
    if len(hosts) > 1 or (not hosts and needed and request.minor == 1):
        raise Malformed("the request has no Host, or several")
    absolute = re.fullmatch(rb"(?i:https?)://([^/?#]*)([^#]*).*", request.target)
    if absolute:
        path = absolute[2] or b"/"
        request.target = path if path.startswith(b"/") else b"/" + path
        rest = [one for one in request.fields.all if one[0].lower() != b"host"]
        request.fields.all = [(b"Host", absolute[1]), *rest]
        return absolute[1]
    if not request.target.startswith(b"/") and request.target != b"*":
        raise Malformed("the request's target is no path")
    return hosts[0] if hosts else b""


def ask_upgrade(request: Request) -> bytes | None:
    """The protocol that the client wants to change to, WebSocket mostly; never HTTP/2."""
    wanted = request.fields.values(b"upgrade")
    if request.minor == 0 or b"upgrade" not in request.fields.tokens(b"connection") or len(wanted) != 1:
        return None
    return None if b"h2c" in request.fields.tokens(b"upgrade") else wanted[0]


def forward(request: Request, body: Body, client: str, host: bytes) -> bytes:
    """The head as the service gets it: who asks for what is said by us, the connection is ours."""
    dropped = HOP | CLAIMED | {b"content-length"} | set(request.fields.tokens(b"connection"))
    dropped -= {b"host"}
    if request.minor == 0:
        dropped |= {b"expect"}
    fields = Fields([one for one in request.fields.all if _passes(one[0].lower(), dropped)])
    node = f'"[{client}]"' if ":" in client else client
    fields.all += [
        (b"X-Forwarded-For", client.encode()),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Host", host),
        (b"Forwarded", b'for=%s;host="%s";proto=http' % (node.encode(), _quoted(host))),
    ]
    if body.framing is Framing.CHUNKED:
        fields.all.append((b"Transfer-Encoding", b"chunked"))
    elif body.framing is Framing.LENGTH or request.fields.values(b"content-length"):
        fields.all.append((b"Content-Length", b"%d" % body.length))
    if protocol := ask_upgrade(request):
        fields.all += [(b"Connection", b"Upgrade"), (b"Upgrade", protocol)]
    else:
        fields.all.append((b"Connection", b"close"))
    return b"%s %s HTTP/1.1\r\n" % (request.method, request.target) + fields.text()


def _passes(name: bytes, dropped: frozenset[bytes] | set[bytes]) -> bool:
    return name not in dropped and not name.startswith(b"x-forwarded-")


def _quoted(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def give_back(response: Response, body: Body, *, chunked: bool, keep: bool) -> bytes:
    """The head as the client gets it: `chunked` is how we frame the body, `keep` whether we listen on."""
    dropped = HOP | set(response.fields.tokens(b"connection"))
    if body.framing is not Framing.NONE:
        dropped |= {b"content-length"}
    fields = Fields([one for one in response.fields.all if one[0].lower() not in dropped])
    if chunked:
        fields.all.append((b"Transfer-Encoding", b"chunked"))
    elif body.framing is Framing.LENGTH:
        fields.all.append((b"Content-Length", b"%d" % body.length))
    if response.status == 101:
        upgrade = response.fields.values(b"upgrade")
        fields.all += [(b"Connection", b"Upgrade"), *((b"Upgrade", value) for value in upgrade)]
    elif response.status >= 200 and not keep:
        fields.all.append((b"Connection", b"close"))
    return b"HTTP/1.1 %d %s\r\n" % (response.status, response.reason) + fields.text()
