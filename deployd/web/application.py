"""The HTTP application: /graphql and its playground, uploads, /metrics, health, behind the guard."""

from __future__ import annotations

from aiohttp import web

from deployd.errors import DeploydError
from deployd.graphql.context import Api
from deployd.telemetry.tracing import Tracer
from deployd.web.authentication import ACTOR, Authentication
from deployd.web.graphql import View
from deployd.web.guard import LARGEST, LOOPBACK_HOSTS, UPLOADS, guard, secure
from deployd.web.health import live, ready
from deployd.web.metrics import metrics
from deployd.web.playground import asset
from deployd.web.problem import errors_as_problems
from deployd.web.tracing import traced
from deployd.web.uploads import receive

__all__ = ["application"]


def application(
    api: Api,
    *,
    trust_loopback: bool,
    allowed_hosts: frozenset[str] = LOOPBACK_HOSTS,
    tracer: Tracer | None = None,
) -> web.Application:
    """The application. `trust_loopback`: calls from this machine need no token, and may do everything."""

    def refused(request: web.Request, error: DeploydError) -> None:
        who = request.get(ACTOR) or f"nobody at {request.remote}"
        api.auditing.refused(who, f"{request.method} {request.path}", None, error.code, error.message)

    tracing = [] if tracer is None else [traced(tracer)]
    app = web.Application(
        middlewares=[*tracing, errors_as_problems(refused), guard(allowed_hosts)], client_max_size=LARGEST
    )
    authentication = Authentication(api.db, api.bus, trust_loopback)
    view = View(api, authentication, refused)
    app.router.add_post("/graphql", view.post)
    app.router.add_get("/graphql", view.get, allow_head=False)
    app.router.add_get("/graphql/assets/{name}", asset)
    app.router.add_post(UPLOADS, receive(api, authentication))
    app.router.add_get("/metrics", metrics(api, authentication, view.open_now))
    app.router.add_get("/healthz", live)
    app.router.add_get("/readyz", ready(api.db))
    app.on_response_prepare.append(secure)

    async def stop(_: web.Application) -> None:
        await view.close()

    app.on_shutdown.append(stop)

    async def end(_: web.Application) -> None:
        await view.channels.close()

    app.on_cleanup.append(end)
    return app
