"""What must hold between the keys of a mapping, beyond what each may be."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from itertools import pairwise

__all__ = [
    "build_stays_inside",
    "health_needs_port",
    "highest_is_not_below_lowest",
    "job_runs_once",
    "ports_differ",
    "routes_need_port",
    "settings_fit_strategy",
    "steps_rise",
    "watch_stays_inside",
]

Found = Iterable[tuple[tuple[str, ...], str]]


def health_needs_port(service: Mapping[str, object], folder: str) -> Found:
    """An HTTP path can be asked for only at a port."""
    health = service.get("health")
    asks = isinstance(health, str) or (isinstance(health, dict) and "path" in health)
    if asks and not (service.get("port") or service.get("ports")):
        yield ("health",), "is an HTTP path, but the service has no port; add `port:`"


def routes_need_port(service: Mapping[str, object], folder: str) -> Found:
    """Requests arrive at a port."""
    if service.get("routes") and not (service.get("port") or service.get("ports")):
        yield ("routes",), "lead to the service, but it has no port; add `port:`"


def ports_differ(service: Mapping[str, object], folder: str) -> Found:
    """Two names for one number would hide that one of them is a mistake."""
    ports = service.get("ports")
    if isinstance(ports, dict) and len(set(ports.values())) < len(ports):
        yield ("ports",), "gives one number two names, would be a number of its own for each"


def build_stays_inside(service: Mapping[str, object], folder: str) -> Found:
    """What is outside of the tree is not in its snapshot."""
    build = service.get("build")
    said: Mapping[str, str] = build if isinstance(build, dict) else {"context": str(build or ".")}
    context = posixpath.join(folder, said.get("context", "."))
    for path in (context, posixpath.join(context, said.get("dockerfile", "Dockerfile"))):
        if leaves(path):
            yield ("build",), "leads out of the source tree, would be a path within it"
            return


def watch_stays_inside(service: Mapping[str, object], folder: str) -> Found:
    """What is outside of the tree never changes in it."""
    watch = service.get("watch")
    for pattern in watch if isinstance(watch, tuple) else ():
        if leaves(posixpath.join(folder, str(pattern).lstrip("!").lstrip("/"))):
            yield ("watch",), "leads out of the source tree, would have patterns within it"
            return


def leaves(path: str) -> bool:
    """Whether a path from the root of the tree leads out of it."""
    return posixpath.normpath(path).split("/")[0] == ".."


def job_runs_once(service: Mapping[str, object], folder: str) -> Found:
    """Two copies would do the job twice."""
    scale = service.get("scale")
    most = scale.get("max") if isinstance(scale, dict) else scale
    if "schedule" in service and most not in (None, 1):
        yield (
            ("scale", "schedule"),
            "is more than one copy of what runs by a schedule, would be 1, or left out",
        )


def highest_is_not_below_lowest(scale: Mapping[str, object], folder: str) -> Found:
    """A range has a low end and a high end."""
    low, high = scale.get("min", 1), scale["max"]
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield ("max", "min"), f"is a range from {low} to {high}, would have a `max` of at least its `min`"


def settings_fit_strategy(rollout: Mapping[str, object], folder: str) -> Found:
    """A setting that does nothing is a misunderstanding."""
    strategy = rollout["strategy"]
    for key, of in (("steps", "canary"), ("interval", "canary"), ("keep", "blue-green")):
        if key in rollout and strategy != of:
            yield (
                (key, "strategy"),
                f"has no `{key}` where the strategy is {strategy}, would be without, or {of}",
            )


def steps_rise(rollout: Mapping[str, object], folder: str) -> Found:
    """A step that gives a new release less than the one before is a slip of the pen."""
    steps = rollout.get("steps")
    if isinstance(steps, tuple) and any(one >= other for one, other in pairwise(steps)):
        yield ("steps",), "do not rise from one to the next, would be such as [10, 50]"
