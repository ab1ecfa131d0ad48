"""How long what nobody needs any more is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Retention"]


@dataclass(frozen=True, slots=True)
class Retention:
    """What an operator wants kept. None: for ever."""

    transitions: timedelta | None = timedelta(days=90)
    """Of these, whole months go: those all of whose transitions are older."""
    audit: timedelta | None = timedelta(days=400)
    """The same for the audit log; tokens that do not count any more stay as long."""
    attempts: timedelta | None = timedelta(days=90)
    """Deployments and changes, services, resources and ephemeral worlds, since they ended."""
    sources: timedelta | None = timedelta(days=30)
    """On a host: mirrors since anybody asked for them, folders of services since anything ran there."""
    releases: int = 20
    """The newest ones of each service, and as many of its deployments, whatever their age."""
