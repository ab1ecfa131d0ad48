"""/healthz: the process lives. /readyz: it can do its work now."""

from __future__ import annotations

import asyncio

from aiohttp import web

from deployd.errors import PostgresUnavailable
from deployd.store.database import Database
from deployd.store.reads import is_migrated
from deployd.web.problem import Handler, answer

__all__ = ["live", "ready"]

PATIENCE = 1.0  # seconds that the database has to answer


async def live(_: web.Request) -> web.StreamResponse:
    """200 for as long as anything is answered at all."""
    return web.json_response({"status": "ok"})


def ready(db: Database) -> Handler:
    """200 when Postgres answers and has the schema, else 503 with the reason."""

    async def handle(_: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(PATIENCE):
                there = await is_migrated(db)
        except (PostgresUnavailable, TimeoutError):
            return answer(
                503,
                "POSTGRES_UNAVAILABLE",
                "Postgres does not answer",
                "Check that it runs.",
            )
        if not there:
            return answer(503, "NOT_MIGRATED", "the database lacks deployd's schema", "Start `deployd up`.")
        return web.json_response({"status": "ok"})

    return handle
