"""What becomes of routes, for a plan's items. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployd.engine.service_items import Looked
from deployd.model.plan import PlanAction, PlanField, PlanItem, PlanKind
from deployd.model.spec import RouteSpec, ServiceSpec

__all__ = ["route_items"]

_Way = tuple[str, str, str]
"""Entrypoint, host, path."""


def route_items(services: Sequence[Looked], present: Mapping[str, ServiceSpec]) -> Iterator[PlanItem]:
    """`present`: what each service of the world serves, by its name; of those in `services` too."""
    before = {_way(route): (name, route) for name, spec in present.items() for route in spec.routes}
    seen: set[_Way] = set()
    for one in services:
        for route in one.spec.routes:
            if _way(route) not in seen:
                seen.add(_way(route))
                yield _wanted(one, route, before.get(_way(route)))
    for one in services:
        served = present.get(one.spec.name)
        for route in served.routes if served is not None and one.left is None else ():
            if _way(route) not in seen:
                seen.add(_way(route))
                fields = _fields((one.spec.name, route), None)
                why = f"{one.spec.name} has it no more"
                yield PlanItem(PlanKind.ROUTE, _name(route), PlanAction.DELETE, fields, why)


def _wanted(one: Looked, route: RouteSpec, before: tuple[str, RouteSpec] | None) -> PlanItem:
    if one.left is not None:
        why = f"{one.spec.name} is left as it is"
        return PlanItem(PlanKind.ROUTE, _name(route), PlanAction.NOTHING, why=why)
    fields = _fields(before, (one.spec.name, route))
    if before is None:
        action, why = PlanAction.CREATE, f"it leads to {one.spec.name}"
    elif fields:
        action, why = PlanAction.CHANGE, f"it leads to {one.spec.name} from then on"
        if before[0] == one.spec.name:
            why = "other callers pass"
    else:
        action, why = PlanAction.NOTHING, f"it leads to {one.spec.name} already"
    return PlanItem(PlanKind.ROUTE, _name(route), action, fields, why)


def _fields(
    before: tuple[str, RouteSpec] | None, after: tuple[str, RouteSpec] | None
) -> tuple[PlanField, ...]:
    found = (
        PlanField("service", before and before[0], after and after[0]),
        PlanField("gate", before and before[1].gate, after and after[1].gate),
    )
    return tuple(one for one in found if one.before != one.after)


def _way(route: RouteSpec) -> _Way:
    return route.entrypoint, route.host, "/" + route.path.strip("/")


def _name(route: RouteSpec) -> str:
    return f"{route.host}{route.path}"
