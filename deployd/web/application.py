"""The HTTP application: /graphql with its playground, uploads, /healthz, /readyz, behind the guard."""

from __future__ import annotations

from aiohttp import web

from deployd.graphql.context import Api
from deployd.web.authentication import Authentication
from deployd.web.graphql import View
from deployd.web.guard import LARGEST, LOOPBACK_HOSTS, UPLOADS, guard, secure
from deployd.web.health import live, ready
from deployd.web.playground import asset
from deployd.web.problem import errors_as_problems
from deployd.web.uploads import receive

__all__ = ["application"]


def application(
    api: Api, *, trust_loopback: bool, allowed_hosts: frozenset[str] = LOOPBACK_HOSTS
) -> web.Application:
    """The application. `trust_loopback`: calls from this machine need no token, and may do everything."""
    app = web.Application(middlewares=[errors_as_problems, guard(allowed_hosts)], client_max_size=LARGEST)
    authentication = Authentication(api.db, trust_loopback)
    view = View(api, authentication)
    app.router.add_post("/graphql", view.post)
    app.router.add_get("/graphql", view.get, allow_head=False)
    app.router.add_get("/graphql/assets/{name}", asset)
    app.router.add_post(UPLOADS, receive(api, authentication))
    app.router.add_get("/healthz", live)
    app.router.add_get("/readyz", ready(api.db))
    app.on_response_prepare.append(secure)

    async def stop(_: web.Application) -> None:
        await view.close()

    app.on_shutdown.append(stop)
    return app
