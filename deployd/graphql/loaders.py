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
from deployd.store import expected, reads
from deployd.store.database import Database
from deployd.store.expected import Expected, Like
from deployd.store.reads import Key

__all__ = ["Loaders"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

First = tuple[Key, int]
"""A service, and how many of its newest are asked for."""


class Loaders:
    """One set for each request or connection."""

    def __init__(self, db: Database) -> None:
        self.heads: DataLoader[int, tuple[int, datetime] | None] = _one(db, reads.heads, None)
        self.machines: DataLoader[Key, Machine | None] = _one(db, reads.machines, None)
        self.releases: DataLoader[Key, Release | None] = _one(db, reads.releases, None)
        self.services: DataLoader[int, list[Machine]] = _one(db, reads.services, [])
        self.resources: DataLoader[int, list[Machine]] = _one(db, reads.resources, [])
        self.deployments: DataLoader[First, list[Machine]] = _newest(db, reads.deployments)
        self.expected: DataLoader[Like, Expected | None] = _one(db, expected.read, None)
        self.newest_releases: DataLoader[First, list[Release]] = _newest(db, reads.newest_releases)


def _one(
    db: Database, read: Callable[[Database, Sequence[K]], Awaitable[Mapping[K, V]]], missing: D
) -> DataLoader[K, V | D]:
    async def load(keys: list[K]) -> list[V | D]:
        found = await read(db, list(dict.fromkeys(keys)))
        return [found.get(key, missing) for key in keys]

    return DataLoader(load_fn=load, cache=False)


def _newest(
    db: Database, read: Callable[[Database, Sequence[Key], int], Awaitable[Mapping[Key, list[V]]]]
) -> DataLoader[First, list[V]]:
    async def load(keys: list[First]) -> list[list[V]]:
        found: dict[First, list[V]] = {}
        for first in {first for _, first in keys}:
            services = list(dict.fromkeys(key for key, wanted in keys if wanted == first))
            for key, values in (await read(db, services, first)).items():
                found[key, first] = values
        return [found.get(key, []) for key in keys]

    return DataLoader(load_fn=load, cache=False)
