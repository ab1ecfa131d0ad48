"""The file's text to the model's specifications."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployd.manifest.document import compose
from deployd.manifest.problem import Problems
from deployd.manifest.reader import Reader
from deployd.manifest.schema import DOCUMENT
from deployd.model.spec import BuildSpec, HealthSpec, ScaleSpec, ServiceSpec, SizeSpec

__all__ = ["SOLE_PORT", "Manifest", "parse"]

SOLE_PORT = "http"
"""The name of a port given by `port:`."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one file says: at least one service, by name, in the order of the file."""

    services: Mapping[str, ServiceSpec]


def parse(text: str, file: str = "deployd.yaml", folder: str = ".") -> Manifest:
    """Read a manifest. `file` is named in problems; `folder` is where it lies, relative to the tree's root.

    Raises ManifestError with all problems.
    """
    root = compose(text, file)
    problems = Problems(file)
    value: Any = Reader(problems, folder).read(root, DOCUMENT, "")
    if problems:
        raise problems.error()
    # From here on the shape of `value` is what DOCUMENT says.
    if "service" in value:
        return Manifest(
            {value["service"]["name"]: service(value["service"]["name"], value["service"], folder)}
        )
    return Manifest({name: service(name, entry, folder) for name, entry in value["services"].items()})


def service(name: str, entry: Mapping[str, Any], folder: str) -> ServiceSpec:
    """One service, its defaults filled in."""
    size = entry.get("size", {})
    return ServiceSpec(
        name=name,
        build=build(entry.get("build", None if "run" in entry else "."), folder),
        run=entry.get("run"),
        ports={SOLE_PORT: entry["port"]} if "port" in entry else entry.get("ports", {}),
        health=health(entry.get("health", {})),
        size=SizeSpec(cpu=size.get("cpu"), memory=size.get("memory")),
        scale=ScaleSpec(entry.get("scale", 1), entry.get("scale", 1)),
        env=entry.get("env", {}),
    )


def build(entry: str | Mapping[str, str] | None, folder: str) -> BuildSpec | None:
    """Paths seen from the root of the tree."""
    if entry is None:
        return None
    said = {"context": entry} if isinstance(entry, str) else entry
    context = posixpath.normpath(posixpath.join(folder, said.get("context", ".")))
    return BuildSpec(context, posixpath.normpath(said.get("dockerfile", BuildSpec().dockerfile)))


def health(entry: str | Mapping[str, Any]) -> HealthSpec:
    """A path alone, or a mapping."""
    said: Mapping[str, Any] = {"path": entry} if isinstance(entry, str) else entry
    return HealthSpec(said.get("path"), said.get("timeout", HealthSpec().timeout))
