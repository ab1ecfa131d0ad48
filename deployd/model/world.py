"""A world and its capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

__all__ = ["SYSTEM", "Capability", "Gate", "World"]

SYSTEM = "system"
"""The reserved world that holds what belongs to none."""


@dataclass(frozen=True, slots=True)
class Capability:
    """A named instance of a driver."""

    driver: str
    config: Mapping[str, object] = field(default_factory=dict)
    approval: bool = False
    """Deployments through it wait for an approval of their plan."""
    limit: int | None = None
    """How many machines of the world it works for at once; None: as many as there are."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Named firewall rules: who may come in, and by which ports. What it does not allow is refused."""

    allow: tuple[str, ...] = ()
    """Networks in CIDR notation, IPv4 or IPv6."""
    ports: tuple[int, ...] = ()
    """Of the entrypoint; none: all that it has."""


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
    gates: Mapping[str, Gate] = field(default_factory=dict)
    retired_at: datetime | None = None
    """When it ended; nothing can be deployed to it since."""
    version: int = 1
    """Another one whenever somebody changed it."""
