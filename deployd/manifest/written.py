"""From a service's specification back to the file: what a release was made of, as it can be read again."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from deployd.manifest.quantity import UNITS
from deployd.manifest.schema import VERSION
from deployd.model.spec import HealthSpec, ResourceNeed, RolloutSpec, RouteSpec, ServiceSpec, SizeSpec

__all__ = ["written"]


def written(spec: ServiceSpec) -> str:
    """A whole deployd.yaml with this one service, resolved: paths from the root, no short forms.

    Read again, it is the same service wherever nothing of `worlds:` differs.
    """
    document = {"deployd": VERSION, "service": _service(spec)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _service(spec: ServiceSpec) -> dict[str, object]:
    said: dict[str, object] = {"name": spec.name}
    if spec.build is not None:
        build = spec.build
        said["build"] = _filled(
            context=build.context, dockerfile=build.dockerfile, target=build.target, args=dict(build.args)
        )
    said |= _filled(image=spec.image, run=spec.run, ports=dict(spec.ports), size=_size(spec.size))
    if spec.health != HealthSpec():
        said["health"] = _filled(path=spec.health.path, timeout=spec.health.timeout)
    if spec.schedule is None:
        said["scale"] = {"min": spec.scale.min, "max": spec.scale.max}
    resources = {key: _need(one) for key, one in spec.resources.items()}
    said |= _filled(env=dict(spec.env), resources=resources, requires=list(spec.requires))
    if spec.before is not None:
        said["before"] = {"run": spec.before.run, "timeout": spec.before.timeout}
    if spec.rollout != RolloutSpec():
        said["rollout"] = _rollout(spec.rollout)
    routes = [_route(one) for one in spec.routes]
    return said | _filled(routes=routes, schedule=spec.schedule, watch=list(spec.watch))


def _filled(**values: object) -> dict[str, object]:
    """Those that say something."""
    return {key: value for key, value in values.items() if value not in (None, {}, [], ())}


def _size(size: SizeSpec) -> Mapping[str, object]:
    return _filled(cpu=size.cpu, memory=None if size.memory is None else _memory(size.memory))


def _memory(size: int) -> str:
    """With the largest unit that keeps it whole."""
    fitting = [(factor, unit) for unit, factor in UNITS.items() if size % factor == 0]
    factor, unit = max(fitting)
    return f"{size // factor}{unit}"


def _need(need: ResourceNeed) -> Mapping[str, object]:
    return _filled(slug=need.slug, params=dict(need.params), shared=need.shared)


def _rollout(rollout: RolloutSpec) -> Mapping[str, object]:
    said: dict[str, object] = {"strategy": rollout.strategy}
    if rollout.steps:
        said |= {"steps": list(rollout.steps), "interval": rollout.interval}
    return said | ({"keep": rollout.keep} if rollout.keep else {})


def _route(route: RouteSpec) -> Mapping[str, object]:
    return _filled(host=route.host, path=route.path, entrypoint=route.entrypoint, gate=route.gate)
