"""What a service's environment comes to: its references, resolved as they are at this moment."""

from __future__ import annotations

from collections.abc import Mapping

from deployd.model.reference import Reference, parts, resolve
from deployd.model.spec import ServiceSpec

__all__ = ["literals"]


def literals(spec: ServiceSpec) -> Mapping[str, str]:
    """The variables that hold no reference."""

    def refuse(reference: Reference) -> str:
        raise AssertionError(reference)

    return {
        name: resolve(value, refuse)
        for name, value in spec.env.items()
        if not any(isinstance(part, Reference) for part in parts(value))
    }
