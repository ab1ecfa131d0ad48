"""A release: immutable, what deployments make a service serve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deployd.model.facts import Source
from deployd.model.spec import ServiceSpec

__all__ = ["Release"]


@dataclass(frozen=True, slots=True)
class Release:
    """Number counts within its service, from 1."""

    world_id: int
    id: UUID
    service_id: UUID
    number: int
    spec: ServiceSpec
    source: Source
    created_at: datetime
    fingerprint: str = ""
    """Of everything that the service is made of: two releases with the same one do the same."""
