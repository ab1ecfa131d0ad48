"""From a world's capabilities to the slugs that can be asked for in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployd.catalog.builtin import BUILTIN
from deployd.model.definition import Definition
from deployd.model.world import Capability

__all__ = ["Offered", "offered"]


@dataclass(frozen=True, slots=True)
class Offered:
    """A definition, and the capability by which the world makes it."""

    definition: Definition
    capability: str


def offered(
    capabilities: Mapping[str, Capability], definitions: Iterable[Definition] = BUILTIN
) -> dict[str, Offered]:
    """By slug: what these capabilities can make. A definition's driver decides which of them does it."""
    makers: dict[str, str] = {}
    for name, capability in capabilities.items():
        makers.setdefault(capability.driver, name)
    return {one.slug: Offered(one, makers[one.driver]) for one in definitions if one.driver in makers}
