"""From a service's values, as they were read, to its specification: defaults and short forms filled in."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from deployd.model.spec import (
    BeforeSpec,
    BuildSpec,
    HealthSpec,
    ResourceNeed,
    RolloutSpec,
    RouteSpec,
    ScaleSpec,
    ServiceSpec,
    SizeSpec,
)

__all__ = ["SOLE_PORT", "specified"]

SOLE_PORT = "http"
"""The name of a port given by `port:`."""

CANARY = RolloutSpec("canary", steps=(10, 50), interval=30.0)
SPECIAL = re.compile(r"[\\*?\[\]!# ]")
"""Characters that mean something in a pattern of .gitignore's kind."""


def specified(name: str, entry: Mapping[str, Any], folder: str) -> ServiceSpec:
    """One service, of a file in this folder of the tree."""
    size = entry.get("size", {})
    made = not {"image", "run"} & entry.keys()
    return ServiceSpec(
        name=name,
        build=build(entry.get("build", "." if made else None), folder),
        run=entry.get("run"),
        ports={SOLE_PORT: entry["port"]} if "port" in entry else entry.get("ports", {}),
        health=HealthSpec(**long("path", entry.get("health", {}))),
        size=SizeSpec(cpu=size.get("cpu"), memory=size.get("memory")),
        scale=scale(entry.get("scale", 1)),
        env=entry.get("env", {}),
        image=entry.get("image"),
        resources={key: ResourceNeed(**long("slug", one)) for key, one in entry.get("resources", {}).items()},
        requires=entry.get("requires", ()),
        before=BeforeSpec(**long("run", entry["before"])) if "before" in entry else None,
        rollout=rollout(long("strategy", entry.get("rollout", {}))),
        routes=tuple(RouteSpec(**one) for one in entry.get("routes", ())),
        schedule=entry.get("schedule"),
        watch=tuple(watched(one, folder) for one in entry.get("watch", ())),
    )


def long(key: str, entry: object) -> dict[str, Any]:
    """The mapping that a value is, or is short for."""
    return dict(entry) if isinstance(entry, Mapping) else {key: entry}


def build(entry: object, folder: str) -> BuildSpec | None:
    """Paths seen from the root of the tree."""
    if entry is None:
        return None
    said = long("context", entry)
    return BuildSpec(
        posixpath.normpath(posixpath.join(folder, said.get("context", "."))),
        posixpath.normpath(said.get("dockerfile", BuildSpec().dockerfile)),
        said.get("target"),
        said.get("args", {}),
    )


def scale(entry: int | Mapping[str, int]) -> ScaleSpec:
    """A number is both ends of the range."""
    return ScaleSpec(entry, entry) if isinstance(entry, int) else ScaleSpec(entry.get("min", 1), entry["max"])


def rollout(said: Mapping[str, Any]) -> RolloutSpec:
    """With the settings that its strategy needs."""
    if said.get("strategy") != CANARY.strategy:
        return RolloutSpec(said.get("strategy", RolloutSpec().strategy), keep=said.get("keep", 0.0))
    return RolloutSpec(
        CANARY.strategy, said.get("steps", CANARY.steps), said.get("interval", CANARY.interval)
    )


def watched(pattern: str, folder: str) -> str:
    """The pattern seen from the root of the tree: one without a slash matches at any depth of its folder."""
    negated, said = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    anchored = "/" in said.rstrip("/")
    if not said.startswith("../") and posixpath.normpath(folder) == ".":
        return pattern
    tail = "/" if said.endswith("/") else ""
    place = SPECIAL.sub(lambda found: "\\" + found.group(), posixpath.normpath(folder))
    inner = said.strip("/") if anchored else f"**/{said.strip('/')}"
    return f"{negated}/{posixpath.normpath(posixpath.join(place, inner))}{tail}"
