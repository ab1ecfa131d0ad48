"""Batched reads: what a page asks of many objects becomes one statement for each kind of question.

Nothing is kept between two batches, so that a subscription, which lives long, never sees old rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from strawberry.dataloader import DataLoader

from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import MachineKind
from deployd.store import expected, pages, reads
from deployd.store.database import Database
from deployd.store.expected import Expected, Like
from deployd.store.pages import Moment, Which
from deployd.store.reads import Key

__all__ = ["Loaders"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

A = TypeVar("A", bound=tuple[Hashable, ...])


class Loaders:
    """One set for each request or connection."""

    def __init__(self, db: Database) -> None:
        self.heads: DataLoader[int, tuple[int, datetime] | None] = _one(db, reads.heads, None)
        self.machines: DataLoader[Key, Machine | None] = _one(db, reads.machines, None)
        self.releases: DataLoader[Key, Release | None] = _one(db, reads.releases, None)
        self.named: DataLoader[tuple[int, tuple[MachineKind, str, int]], list[Machine]]
        self.named = _page(db, pages.named)
        """Of a world: which kind, behind which name, how many; and so on below."""
        self.newest: DataLoader[tuple[int, tuple[Which, Moment, int]], list[Machine]]
        self.newest = _page(db, pages.newest)
        self.deployments: DataLoader[tuple[Key, tuple[Moment, int]], list[Machine]]
        self.deployments = _page(db, pages.deployments)
        self.newest_releases: DataLoader[tuple[Key, tuple[int, int]], list[Release]]
        self.newest_releases = _page(db, pages.releases)
        self.world_releases: DataLoader[tuple[int, tuple[Moment, int]], list[Release]]
        self.world_releases = _page(db, pages.world_releases)
        self.expected: DataLoader[Like, Expected | None] = _one(db, expected.read, None)


def _one(
    db: Database, read: Callable[[Database, Sequence[K]], Awaitable[Mapping[K, V]]], missing: D
) -> DataLoader[K, V | D]:
    async def load(keys: list[K]) -> list[V | D]:
        found = await read(db, list(dict.fromkeys(keys)))
        return [found.get(key, missing) for key in keys]

    return DataLoader(load_fn=load, cache=False)


def _page(
    db: Database, read: Callable[..., Awaitable[Mapping[K, list[V]]]]
) -> DataLoader[tuple[K, A], list[V]]:
    """Pages that are asked for in the same way, of whatever many, are one statement."""

    async def load(keys: list[tuple[K, A]]) -> list[list[V]]:
        found: dict[tuple[K, A], list[V]] = {}
        for way in dict.fromkeys(way for _, way in keys):
            of = list(dict.fromkeys(key for key, each in keys if each == way))
            for key, values in (await read(db, of, *way)).items():
                found[key, way] = values
        return [found.get(key, []) for key in keys]

    return DataLoader(load_fn=load, cache=False)
