"""Requests as spans, in their callers' traces (`traceparent`), for those that ask for something."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Middleware

from deployd.telemetry.subject import ASKING
from deployd.telemetry.tracing import Tracer
from deployd.web.problem import Handler

__all__ = ["traced"]


def traced(tracer: Tracer) -> Middleware:
    """A middleware that tells every POST once it is answered."""

    @web.middleware
    async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await handler(request)
        asking = tracer.ask(request.headers)
        asking.name = f"POST {request.path}" if request.match_info.route.resource else "POST"
        token, start, status = ASKING.set(asking), time.time_ns(), 500
        begun = time.monotonic_ns()
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            ASKING.reset(token)
            tracer.asked(asking, start=start, end=start + time.monotonic_ns() - begun, status=status)

    return trace
