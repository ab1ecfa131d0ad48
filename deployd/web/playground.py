"""The playground: GraphiQL at /graphql for who looks with a browser, all of it from this server.

Its parts come from npm packages (tools/playground.py), are in the wheel, and may be missing in a checkout
that was set up where npm's registry could not be reached: then the page says so. Anybody may load them;
what is asked with them is asked as by any other client.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from aiohttp import web

__all__ = ["ASSETS", "asset", "page"]

ASSETS = Path(__file__).parent / "assets"
FETCHED = "fetched"
"""The folder of the parts that are fetched, within ASSETS; git ignores it."""

_OWN = {"playground.js": "text/javascript", "playground.css": "text/css"}
_FETCHED = {
    "react.js": "text/javascript",
    "react-dom.js": "text/javascript",
    "graphql-ws.js": "text/javascript",
    "graphiql.js": "text/javascript",
    "graphiql.css": "text/css",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Scripts are files of this server only, and speak with this server only."""


def page(request: web.Request, assets: Path = ASSETS) -> web.Response:
    """The playground, or what is missing of it."""
    missing = [name for name in _FETCHED if not (assets / FETCHED / name).is_file()]
    nonce = secrets.token_urlsafe(16)
    if missing:
        text = (assets / "missing.html").read_text(encoding="utf-8").replace("MISSING", ", ".join(missing))
    else:
        text = (assets / "playground.html").read_text(encoding="utf-8").replace("NONCE", nonce)
    # `'self'` does not include websockets in older browsers; the guard knows that the host is ours.
    policy = _POLICY.format(nonce=nonce, sockets=f"ws://{request.host} wss://{request.host}")
    return web.Response(
        text=text, content_type="text/html", headers={"Content-Security-Policy": policy, "Vary": "Accept"}
    )


async def asset(request: web.Request) -> web.StreamResponse:
    """One of its parts."""
    name = request.match_info["name"]
    type_ = _OWN.get(name) or _FETCHED.get(name)
    path = ASSETS / name if name in _OWN else ASSETS / FETCHED / name
    if type_ is None or not path.is_file():
        raise web.HTTPNotFound(text="the playground has no such part")
    # Looked for anew each time, and sent only if it is another one.
    headers = {"Content-Type": f"{type_}; charset=utf-8", "Cache-Control": "no-cache"}
    return web.FileResponse(path, headers=headers)
