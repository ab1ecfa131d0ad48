"""How acts give a service its public address, where its world has an entrypoint."""

from __future__ import annotations

import logging

from deployd.drivers.api import Routed, ServiceRef
from deployd.engine.context import Context
from deployd.errors import DeploydError, LeaseLost, StoreError

__all__ = ["drain_seconds", "keep_route", "route", "unroute"]

_log = logging.getLogger(__name__)


async def drain_seconds(context: Context, world_id: int) -> float | None:
    """How long a release is kept for requests under way to it; None where nothing is routed."""
    router = await context.router(world_id)
    return None if router is None else router.drain_seconds


async def route(context: Context, service: ServiceRef, address: str | None) -> Routed:
    """Requests for the service go to this address, if its world has an entrypoint. Raises DriverError."""
    router = await context.router(service.world_id)
    if router is None or address is None:
        return Routed()
    return await router.route(service, address)


async def keep_route(
    context: Context, service: ServiceRef, address: str | None, url: str | None
) -> str | None:
    """The same for what serves already: its watch goes on whatever becomes of the route."""
    if address is None:
        return url  # it is between two lives
    try:
        return (await route(context, service, address)).url
    except (LeaseLost, StoreError):
        raise
    except DeploydError as error:
        _log.warning("service %s: %s %s", service.service, error.message, error.remedy)
        return url


async def unroute(context: Context, service: ServiceRef, why: str | None = None) -> None:
    """Requests for it go nowhere. Raises DriverError."""
    router = await context.router(service.world_id)
    if router is not None:
        await router.unroute(service, why)
