"""Which ways in a service gets: its own name, and the routes that nobody else has. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployd.drivers.entrypoint.config import Config
from deployd.drivers.entrypoint.proxy.gate import Gate
from deployd.drivers.entrypoint.proxy.record import Record, Way
from deployd.errors import InputError
from deployd.model.reason import Reason
from deployd.model.spec import RouteSpec
from deployd.model.world import Gate as Allowed

__all__ = ["entry_gates", "refusals", "taken", "wanted"]


def _path(path: str) -> str:
    return "/" + path.strip("/")


def _gate(name: str, gates: Mapping[str, Allowed]) -> Gate:
    """A gate of the world. Raises InputError where it has none of this name."""
    found = gates.get(name)
    if found is None:
        there = ", ".join(sorted(gates)) or "none"
        raise InputError(
            f"the world has no gate {name!r}", remedy=f"Name one that it has: {there}; or declare it."
        )
    return Gate(name, tuple(found.allow), tuple(found.ports))


def entry_gates(config: Config, gates: Mapping[str, Allowed]) -> tuple[Gate, ...] | None:
    """Those of the entrypoint; None where it has none. Raises InputError."""
    return tuple(_gate(name, gates) for name in config.gates) or None


def wanted(
    host: str, routes: Sequence[RouteSpec], gates: Mapping[str, Allowed], now: float, before: Record | None
) -> Iterator[Way]:
    """Every way that is asked for, each once; those that it has keep their time. Raises InputError."""
    had = {(way.host, way.path): way.since for way in (before.ways if before else ())}
    yield Way(host, "/", had.get((host, "/"), now), local=True)
    seen = {(host, "/")}
    for route in routes:
        at = route.host, _path(route.path)
        if at not in seen:
            seen.add(at)
            gate = None if route.gate is None else _gate(route.gate, gates)
            yield Way(*at, had.get(at, now), gate=gate)


def taken(way: Way, service_id: str, entry: tuple[str, int], records: Mapping[str, Record]) -> str | None:
    """The name of the other service that has this way in at the same port; None where nobody has."""
    for name, record in records.items():
        same = record.entry in (entry[1], 0) and name != service_id
        if same and any((one.host, one.path) == (way.host, way.path) for one in record.ways):
            return record.service
    return None


def refusals(
    service_id: str,
    host: str,
    routes: Sequence[RouteSpec],
    gates: Mapping[str, Allowed],
    config: Config,
    records: Mapping[str, Record],
) -> Iterator[Reason]:
    """What stands against these routes."""
    asked = [
        (one.gate, f"routes[{number}].gate") for number, one in enumerate(routes) if one.gate is not None
    ]
    for name, key in [*((name, None) for name in config.gates), *asked]:
        try:
            _gate(name, gates)
        except InputError as error:
            yield Reason("UNKNOWN_GATE", error.message, remedy=error.remedy, key=key)
            return
    if routes and not config.port:
        yield Reason(
            "NO_ENTRYPOINT",
            "the world's entrypoint has no port, so that no host can be routed",
            remedy="Set its `port` (DEPLOYD_ENTRYPOINT_PORT), or leave the routes out.",
            key="routes",
        )
    keys = {(one.host, _path(one.path)): f"routes[{number}]" for number, one in enumerate(routes)}
    for way in wanted(host, routes, gates, 0.0, None):
        owner = taken(way, service_id, (config.listen, config.port), records)
        if owner is not None:
            yield Reason(
                "ROUTE_TAKEN",
                f"{way.host}{way.path} leads to service {owner} already",
                remedy="Choose another host or path, or retire that service first.",
                key=keys.get((way.host, way.path)),
            )
