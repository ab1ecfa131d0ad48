"""A world and its capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

__all__ = ["SYSTEM", "Capability", "World"]

SYSTEM = "system"
"""The reserved world that holds what belongs to none."""


@dataclass(frozen=True, slots=True)
class Capability:
    """A named instance of a driver."""

    driver: str
    config: Mapping[str, object] = field(default_factory=dict)
    approval: bool = False
    """Deployments through it wait for an approval of their plan."""


@dataclass(frozen=True, slots=True)
class World:
    """A named place."""

    world_id: int
    uid: UUID
    """Unlike that of any world elsewhere: what is derived from it can share a host or a cloud with others."""
    name: str
    capabilities: Mapping[str, Capability]
    ephemeral: bool
    created_at: datetime
