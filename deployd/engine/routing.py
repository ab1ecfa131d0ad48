"""How acts give a service its addresses, where its world has an entrypoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from uuid import UUID

from deployd.drivers.api import Endpoint, Observation, Routed, ServiceRef, Target
from deployd.engine.context import ENTRYPOINT, Context
from deployd.errors import DeploydError, LeaseLost, NotFound, StoreError
from deployd.model.reason import Reason
from deployd.model.spec import ServiceSpec
from deployd.store import releases

__all__ = [
    "drain_seconds",
    "keep_route",
    "refusals",
    "reserve",
    "route",
    "scheme",
    "spec_of",
    "targets",
    "unroute",
]

_log = logging.getLogger(__name__)
_SPECS = 4096  # of releases, remembered


def scheme(spec: ServiceSpec) -> str | None:
    """How the service talks at its first port: `http`, or `tcp` for anything else; None without ports."""
    name = next(iter(spec.ports), None)
    if name is None:
        return None
    return "http" if spec.health.path is not None or not name.startswith(("tcp", "grpc")) else "tcp"


def targets(observation: Observation, shares: Mapping[UUID, int]) -> list[Target]:
    """Where the releases answer, each with its share of the requests, split evenly among its instances."""
    found: list[Target] = []
    for release_id, share in shares.items():
        mine = {one.address for one in observation.instances if one.release_id == release_id and one.address}
        found += [Target(address, max(1, share * 100 // len(mine))) for address in sorted(mine) if share]
    return found


async def drain_seconds(context: Context, world_id: int) -> float | None:
    """How long a release is kept for requests under way to it; None where nothing is routed."""
    router = await context.router(world_id)
    return None if router is None else router.drain_seconds


async def reserve(context: Context, service: ServiceRef, spec: ServiceSpec) -> Endpoint | None:
    """The service's address within its world, which stays; None where it has none. Raises DriverError."""
    router, talks = await context.router(service.world_id), scheme(spec)
    return None if router is None or talks is None else await router.reserve(service, talks)


async def refusals(context: Context, service: ServiceRef, spec: ServiceSpec) -> tuple[Reason, ...]:
    """What stands against the service's routes."""
    router = await context.router(service.world_id)
    wrong = next(_impossible(spec, routed=router is not None), None)
    if wrong is not None or router is None:
        return () if wrong is None else (wrong,)
    gates = (await context.world(service.world_id)).gates
    return await router.plan(service, spec.routes, gates)


def _impossible(spec: ServiceSpec, *, routed: bool) -> Iterator[Reason]:
    for number, one in enumerate(spec.routes):
        if not routed or one.entrypoint != ENTRYPOINT:
            there = f"it has one, called `{ENTRYPOINT}`" if routed else "it has none"
            yield Reason(
                "NO_ENTRYPOINT",
                f"service {spec.name}: {one.host}{one.path} asks for the entrypoint `{one.entrypoint}` of "
                f"this world; {there}",
                remedy=f"Write `entrypoint: {ENTRYPOINT}`, or leave it out."
                if routed
                else "Deploy to a world with an entrypoint, or leave the routes out.",
                key=f"routes[{number}]" + (".entrypoint" if routed else ""),
            )
        if scheme(spec) != "http":
            yield Reason(
                "NOT_ROUTABLE",
                f"service {spec.name} has routes, and its first port does not speak HTTP",
                remedy="Name a port that speaks HTTP first, or leave the routes out.",
                key="routes",
            )


async def route(context: Context, service: ServiceRef, spec: ServiceSpec, goals: list[Target]) -> Routed:
    """Requests for the service go there, if its world has an entrypoint. Raises DriverError, InputError."""
    router = await context.router(service.world_id)
    if router is None or not goals:
        return Routed()
    gates = (await context.world(service.world_id)).gates
    return await router.route(service, goals, routes=spec.routes, gates=gates)


async def keep_route(
    context: Context, service: ServiceRef, release_id: UUID, seen: Observation
) -> Routed | None:
    """The same for what serves already: its watch goes on whatever becomes of the route. None: as before."""
    goals = targets(seen, {release_id: 100})
    if not goals:
        return None  # it is between two lives, or without ports
    try:
        return await route(context, service, await spec_of(context, service, release_id), goals)
    except (LeaseLost, StoreError):
        raise
    except DeploydError as error:
        _log.warning("service %s: %s %s", service.service, error.message, error.remedy)
        return None


async def spec_of(context: Context, service: ServiceRef, release_id: UUID) -> ServiceSpec:
    """What the release is made to; it never changes, so that it is read once. Raises NotFound."""
    if release_id not in context.specs:
        release = await releases.get(context.db, service.world_id, release_id)
        if release is None:
            raise NotFound(f"there is no release {release_id}")
        while len(context.specs) >= _SPECS:
            context.specs.pop(next(iter(context.specs)), None)
        context.specs[release_id] = release.spec
    return context.specs[release_id]


async def unroute(
    context: Context, service: ServiceRef, why: str | None = None, *, soon: bool = False
) -> Routed:
    """Requests for it go nowhere. Raises DriverError."""
    router = await context.router(service.world_id)
    return Routed() if router is None else await router.unroute(service, why, soon=soon)
