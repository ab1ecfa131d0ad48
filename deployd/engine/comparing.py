"""In what two specifications of a service differ, field by field, in the words of the manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployd.model.plan import PlanField
from deployd.model.spec import BuildSpec, RouteSpec, ScaleSpec, ServiceSpec

__all__ = ["compared", "flat", "text_of"]

_UNITS = {
    "": 1,
    **{f"{unit}i": 1024 ** (power + 1) for power, unit in enumerate("KMGT")},
    **{unit: 1000 ** (power + 1) for power, unit in enumerate("kMGT")},
}


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[PlanField, ...]:
    """What is otherwise: in the order of `after`, then what is gone."""
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(
        PlanField(path, before.get(path), after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    )


def flat(spec: ServiceSpec) -> dict[str, str]:
    """What the manifest says of the service, by path. What is as it is by default is left out.

    The values of `env` are as written: a reference is told by its name, and nothing resolves it here.
    """
    plain = ServiceSpec(spec.name)
    found: dict[str, str] = {}

    def put(path: str, value: object, default: object = None) -> None:
        if value != default:
            found[path] = text_of(value)

    if spec.build is not None:
        put("build", spec.build.context)
        put("build.dockerfile", spec.build.dockerfile, BuildSpec().dockerfile)
        put("build.target", spec.build.target)
        found |= {f"build.args.{name}": value for name, value in sorted(spec.build.args.items())}
    put("image", spec.image)
    put("run", spec.run)
    found |= {f"ports.{name}": str(number) for name, number in spec.ports.items()}
    put("health.path", spec.health.path)
    put("health.timeout", _seconds(spec.health.timeout), _seconds(plain.health.timeout))
    put("schedule", spec.schedule)
    put("scale", _scale(spec.scale), _scale(plain.scale))
    put("size.cpu", spec.size.cpu)
    put("size.memory", None if spec.size.memory is None else _memory(spec.size.memory))
    found |= {f"env.{name}": value for name, value in sorted(spec.env.items())}
    for key, need in sorted(spec.resources.items()):
        put(f"resources.{key}", need.slug)
        put(f"resources.{key}.shared", need.shared)
        for name, value in sorted(need.params.items()):
            put(f"resources.{key}.params.{name}", value)
    put("requires", ", ".join(spec.requires), "")
    if spec.before is not None:
        put("before", spec.before.run)
        put("before.timeout", _seconds(spec.before.timeout), _seconds(600.0))
    put("rollout", spec.rollout.strategy, plain.rollout.strategy)
    put("rollout.steps", ", ".join(f"{one} %" for one in spec.rollout.steps), "")
    put("rollout.interval", _seconds(spec.rollout.interval), _seconds(0.0))
    put("rollout.keep", _seconds(spec.rollout.keep), _seconds(0.0))
    found |= {f"routes.{one.host}{one.path}": _through(one) for one in spec.routes}
    put("watch", ", ".join(spec.watch), "")
    return found


def text_of(value: object) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {text_of(one)}" for name, one in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(text_of(one) for one in value)
    return str(value)


def _seconds(amount: float) -> str:
    return f"{amount:g}s"


def _scale(scale: ScaleSpec) -> str:
    return str(scale.min) if scale.min == scale.max else f"{scale.min} to {scale.max}"


def _memory(amount: int) -> str:
    """In the unit that says it shortest: `256Mi`."""
    return min((f"{amount // size}{unit}" for unit, size in _UNITS.items() if amount % size == 0), key=len)


def _through(route: RouteSpec) -> str:
    return route.entrypoint if route.gate is None else f"{route.entrypoint}, gate {route.gate}"
