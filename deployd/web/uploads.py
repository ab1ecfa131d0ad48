"""POST /api/v1/uploads?world=NAME: a tar.gz, kept for a `deploy`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from deployd.access.policy import Action, require
from deployd.errors import DeploydError, InputError
from deployd.graphql.context import Api
from deployd.model.audit import Outcome
from deployd.web.authentication import Authentication

__all__ = ["receive"]

PIECE = 256 * 1024
"""Bytes that are read at once."""
SILENCE = 60.0
"""Seconds for which a client may send nothing."""


def receive(api: Api, authentication: Authentication) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler: it answers {"upload": ID} once all of it is durable."""

    async def handler(request: web.Request) -> web.Response:
        actor = await authentication.actor(request, request.headers.get("Authorization"))
        worlds = request.query.getall("world", [])
        if len(worlds) != 1:
            raise InputError("one world is needed", remedy="Send it as `?world=NAME`.")
        require(actor, Action.DEPLOY, worlds[0])  # before the body is read
        place = await api.operations.world(actor, worlds[0])
        entry = await api.auditing.asked(actor.name, "upload", place.world_id, {"world": worlds[0]})
        try:
            upload = await api.operations.upload(actor, worlds[0], _pieces(request))
        except (DeploydError, web.HTTPException) as error:
            code = error.code if isinstance(error, DeploydError) else f"HTTP_{error.status}"
            await api.auditing.ended(entry, Outcome.REFUSED, code, str(error))
            raise
        await api.auditing.ended(entry, Outcome.DONE)
        return web.json_response({"upload": str(upload)})

    return handler


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body. Raises an HTTP error 408 when the client falls silent."""
    while True:
        try:
            async with asyncio.timeout(SILENCE):
                piece = await request.content.read(PIECE)
        except TimeoutError as error:
            text = f"nothing came for {SILENCE:.0f} seconds"
            raise web.HTTPRequestTimeout(text=text) from error
        if not piece:
            return
        yield piece
