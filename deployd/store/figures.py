"""How much there is, for /metrics: one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployd.store.database import Database

__all__ = ["Figures", "read"]


@dataclass(frozen=True, slots=True)
class Figures:
    """As it was at one moment."""

    machines: Mapping[tuple[str, str, str], int]
    """By the world's name, kind and state: those that live, or are under way."""
    mail: Mapping[str, tuple[int, float]]
    """By the world's name: requests, and the age of the oldest in seconds."""
    due: int
    """Machines whose time has come and that nobody holds."""
    lag: float
    """Seconds for which the longest of them has been due; 0 where there is none."""
    workers: int
    """Alive."""


async def read(db: Database) -> Figures:
    """Raises PostgresUnavailable."""
    machines: dict[tuple[str, str, str], int] = {}
    mail: dict[str, tuple[int, float]] = {}
    due, lag, workers = 0, 0.0, 0
    for row in await db.fetch("figures"):
        match row["what"]:
            case "machines":
                machines[row["world"], row["kind"], row["state"]] = row["number"]
            case "mail":
                mail[row["world"]] = row["number"], row["seconds"]
            case "due":
                due, lag = row["number"], row["seconds"]
            case _:
                workers = row["number"]
    return Figures(machines, mail, due, lag, workers)
