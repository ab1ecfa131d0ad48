"""Batched reads: what a page asks of many objects becomes one statement for each kind of question.

Between two batches only what cannot be out of date is kept (kept.py), so that a subscription, which lives
long, never sees old rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Generic, TypeVar

from deployd.graphql.kept import Memory
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import MachineKind
from deployd.store import expected, pages, reads
from deployd.store.database import Database
from deployd.store.expected import Expected, Like
from deployd.store.pages import Moment, Which
from deployd.store.reads import Key, Stamp, Tally

__all__ = ["Loader", "Loaders"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

A = TypeVar("A", bound=tuple[Hashable, ...])


class Loader(Generic[K, V]):
    """Reads together whatever is asked for until the loop comes round."""

    def __init__(self, read: Callable[[list[K]], Awaitable[list[V]]]) -> None:
        """`read` answers one for each key, in order."""
        self._read = read
        self._keys: list[K] = []
        self._found: asyncio.Task[list[V]] | None = None

    async def load(self, key: K) -> V:
        """What is read for this key."""
        return (await self.load_many([key]))[0]

    async def load_many(self, keys: Sequence[K]) -> list[V]:
        """What is read for these keys, in order."""
        if not keys:
            return []
        if self._found is None:
            self._found = asyncio.ensure_future(self._batch())
        found, begin = self._found, len(self._keys)
        self._keys.extend(keys)
        # Whoever is cancelled gives up alone: others may wait for the same.
        return (await asyncio.shield(found))[begin : begin + len(keys)]

    async def _batch(self) -> list[V]:
        await asyncio.sleep(0)  # for those that are started by what was started before
        keys, self._keys, self._found = self._keys, [], None
        return await self._read(keys)


class Loaders:
    """One set for each request or connection."""

    def __init__(self, db: Database, memory: Memory) -> None:
        async def releases(db: Database, keys: Sequence[Key]) -> Mapping[Key, Release]:
            return await memory.releases.read(keys, lambda missing: reads.releases(db, missing))

        async def machines(db: Database, keys: Sequence[Key]) -> Mapping[Key, Machine]:
            return await known(await reads.stamps(db, keys))

        async def known(stamps: Iterable[Stamp]) -> dict[Key, Machine]:
            return await memory.machines.read(stamps, lambda missing: reads.machines(db, missing))

        def listed(
            read: Callable[..., Awaitable[Mapping[K, list[Stamp]]]],
        ) -> Callable[..., Awaitable[Mapping[K, list[Machine]]]]:
            async def page(*asked: Any) -> Mapping[K, list[Machine]]:
                stamps = await read(*asked)
                found = await known(chain.from_iterable(stamps.values()))
                return {
                    key: [found[one[:2]] for one in each if one[:2] in found] for key, each in stamps.items()
                }

            return page

        self.heads: Loader[int, tuple[int, datetime] | None] = _one(db, reads.heads, None)
        self.machines: Loader[Key, Machine | None] = _one(db, machines, None)
        self.releases: Loader[Key, Release | None] = _one(db, releases, None)
        self.named: Loader[tuple[int, tuple[MachineKind, str, int]], list[Machine]]
        self.named = _page(db, listed(pages.named))
        """Of a world: which kind, behind which name, how many; and so on below."""
        self.newest: Loader[tuple[int, tuple[Which, Moment, int]], list[Machine]]
        self.newest = _page(db, listed(pages.newest))
        self.deployments: Loader[tuple[Key, tuple[Moment, int]], list[Machine]]
        self.deployments = _page(db, listed(pages.deployments))
        self.newest_releases: Loader[tuple[Key, tuple[int, int]], list[Release]]
        self.newest_releases = _page(db, pages.releases)
        self.world_releases: Loader[tuple[int, tuple[Moment, int]], list[Release]]
        self.world_releases = _page(db, pages.world_releases)
        self.tallies: Loader[int, list[Tally] | None] = _one(db, reads.tallies, None)
        self.expected: Loader[Like, Expected | None] = _one(db, expected.read, None)


def _one(
    db: Database, read: Callable[[Database, Sequence[K]], Awaitable[Mapping[K, V]]], missing: D
) -> Loader[K, V | D]:
    async def load(keys: list[K]) -> list[V | D]:
        found = await read(db, list(dict.fromkeys(keys)))
        return [found.get(key, missing) for key in keys]

    return Loader(load)


def _page(db: Database, read: Callable[..., Awaitable[Mapping[K, list[V]]]]) -> Loader[tuple[K, A], list[V]]:
    """Pages that are asked for in the same way, of whatever many, are one statement."""

    async def load(keys: list[tuple[K, A]]) -> list[list[V]]:
        found: dict[tuple[K, A], list[V]] = {}
        for way in dict.fromkeys(way for _, way in keys):
            of = list(dict.fromkeys(key for key, each in keys if each == way))
            for key, values in (await read(db, of, *way)).items():
                found[key, way] = values
        return [found.get(key, []) for key in keys]

    return Loader(load)
