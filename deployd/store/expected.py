"""How long deployments of a service take, from those that succeeded before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deployd.store.database import Database
from deployd.store.reads import Key

__all__ = ["Expected", "Like", "read"]

Like = tuple[Key, bool]
"""A service, and whether it is about going back to a release."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Medians, in seconds."""

    seconds: float
    """Of the whole, without waiting for a turn or for a person."""
    steps: Mapping[str, float] = field(default_factory=dict)
    """Of each state that they went through."""


async def read(db: Database, keys: Sequence[Like]) -> dict[Like, Expected]:
    """Those of which there is any experience."""
    columns = [key[0][0] for key in keys], [key[0][1] for key in keys], [key[1] for key in keys]
    wholes: dict[Like, float] = {}
    steps: dict[Like, dict[str, float]] = {}
    for row in await db.fetch("read_expected", *columns):
        like = ((row["world_id"], row["service_id"]), row["rollback"])
        if row["state"] is None:
            wholes[like] = float(row["seconds"])
        else:
            steps.setdefault(like, {})[row["state"]] = float(row["seconds"])
    return {like: Expected(whole, steps.get(like, {})) for like, whole in wholes.items()}
