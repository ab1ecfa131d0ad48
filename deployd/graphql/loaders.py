"""Batched reads: what a page asks of many objects becomes one statement for each kind of question.

Between two batches only what cannot be out of date is kept (kept.py), so that a subscription, which lives
long, never sees old rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar

from deployd.graphql.kept import Memory
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import MachineKind
from deployd.store import expected, pages, reads
from deployd.store.database import Database
from deployd.store.expected import Expected, Like
from deployd.store.pages import Moment, Which
from deployd.store.reads import AsOf, Key, Look, Stamp, Tally, pieces

__all__ = ["Loader", "Loaders"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
C = TypeVar("C")
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

    async def load_many(self, keys: Sequence[K], *, at_once: bool = False) -> list[V]:
        """What is read for these keys, in order; `at_once`: they are a whole column, and wait for nobody."""
        if not keys:
            return []
        if at_once:
            return await self._read(list(keys))
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
    """One set for each request or connection; each is made when it is asked for first."""

    def __init__(self, db: Database, memory: Memory, *, brief: bool = False) -> None:
        """`brief`: they serve one answer that changes nothing, all of which may be as of its first look."""
        self._db, self._memory = db, memory
        self._looked: dict[tuple[int, ...], asyncio.Future[AsOf]] | None = {} if brief else None

    @cached_property
    def heads(self) -> Loader[int, tuple[int, datetime] | None]:
        """Of a world: its last transition's number, and when that was."""
        return _one(self._db, reads.heads, None)

    @cached_property
    def machines(self) -> Loader[Key, Machine | None]:
        """By their ids."""
        return _one(self._db, self._current, None)

    @cached_property
    def releases(self) -> Loader[Key, Release | None]:
        """By their ids."""
        return _one(self._db, self._releases, None)

    @cached_property
    def named(self) -> Loader[tuple[int, tuple[MachineKind, str, int]], list[Machine]]:
        """Of a world: which kind, behind which name, how many; and so on below."""
        return _page(self._db, self._listed(pages.named, _world, _itself))

    @cached_property
    def newest(self) -> Loader[tuple[int, tuple[Which, Moment, int]], list[Machine]]:
        """Changes or deployments of a world."""
        return _page(self._db, self._listed(pages.newest, _world, _itself))

    @cached_property
    def deployments(self) -> Loader[tuple[Key, tuple[Moment, int]], list[Machine]]:
        """Of a service."""
        return _page(self._db, self._listed(pages.deployments, _itself, _world))

    @cached_property
    def newest_releases(self) -> Loader[tuple[Key, tuple[int, int]], list[Release]]:
        """Of a service."""
        return _page(self._db, pages.releases)

    @cached_property
    def world_releases(self) -> Loader[tuple[int, tuple[Moment, int]], list[Release]]:
        """Of all services of a world."""
        return _page(self._db, pages.world_releases)

    @cached_property
    def tallies(self) -> Loader[int, list[Tally] | None]:
        """Of a world."""
        return _one(self._db, self._tallies, None)

    @cached_property
    def expected(self) -> Loader[Like, Expected | None]:
        """How long a deployment takes."""
        return _one(self._db, expected.read, None)

    async def _releases(self, db: Database, keys: Sequence[Key]) -> Mapping[Key, Release]:
        return await self._memory.releases.read(keys, lambda missing: reads.releases(db, missing))

    async def page(
        self,
        asked: Hashable,
        world_ids: Iterable[int],
        look: Callable[[], Awaitable[tuple[AsOf, C]]],
        make: Callable[[C, V | None], Awaitable[V]],
    ) -> V:
        """A page of these worlds, looked at unless none of them was written since it was read (Pages.read).

        `look` finds the content, and says as of when it is; `make` makes the page of that, and of the page as
        it was. It is the same object while the content is the same.
        """

        async def renew(before: tuple[C, V] | None) -> tuple[AsOf, tuple[C, V]]:
            newer, content = await look()
            if before is None:
                before = content, await make(content, None)
            elif content != before[0]:
                before = content, await make(content, before[1])
            return newer, before

        return (await self._memory.pages.read(asked, await self._as_of(world_ids), renew))[1]

    async def settled(
        self, asked: Hashable, world_ids: Iterable[int], answer: Callable[[], Awaitable[V]]
    ) -> V:
        """What `answer` comes to; or did the last time, where none of these worlds was written since."""
        if self._looked is None:
            return await answer()
        as_of = await self._as_of(world_ids)

        async def renew(_: V | None) -> tuple[AsOf, V]:
            return as_of, await answer()

        return await self._memory.answers.read(asked, as_of, renew)

    async def _as_of(self, world_ids: Iterable[int]) -> AsOf:
        """Of when these worlds are: by now, or when a brief answer asked first."""
        worlds = tuple(dict.fromkeys(world_ids))
        if self._looked is None:
            return await reads.as_of(self._db, worlds)
        if worlds not in self._looked:
            self._looked[worlds] = asyncio.ensure_future(reads.as_of(self._db, worlds))
        return await asyncio.shield(self._looked[worlds])

    async def _tallies(self, db: Database, world_ids: Sequence[int]) -> Mapping[int, list[Tally]]:
        async def made(
            tallies: dict[int, list[Tally]], _: Mapping[int, list[Tally]] | None
        ) -> Mapping[int, list[Tally]]:
            return tallies

        return await self.page(("tallies", *world_ids), world_ids, lambda: reads.tallies(db, world_ids), made)

    async def _current(self, db: Database, keys: Sequence[Key]) -> Mapping[Key, Machine]:
        async def made(stamps: bytes, _: Mapping[Key, Machine] | None) -> Mapping[Key, Machine]:
            there = await self._known(pieces(stamps))
            return {key: machine for (key, _), machine in there}

        return await self.page(
            ("machines", *keys), (world_id for world_id, _ in keys), lambda: reads.stamps(db, keys), made
        )

    async def _known(self, of: Sequence[tuple[K, Stamp]]) -> list[tuple[tuple[K, Stamp], Machine]]:
        """Each with the machine of its stamp, but for any that are gone since."""
        there = await self._memory.machines.read(
            [one for _, one in of], lambda missing: reads.machines(self._db, missing)
        )
        return [(one, there[one[1]]) for one in of if one[1] in there]

    def _listed(
        self,
        read: Callable[..., Awaitable[Look]],
        about: Callable[[Key], K],
        world: Callable[[K], int],
    ) -> Callable[..., Awaitable[Mapping[K, list[Machine]]]]:
        """Whole pages; `about`: what one of them is of, and which `world` that is in."""

        async def made(stamps: bytes, before: Mapping[K, list[Machine]] | None) -> Mapping[K, list[Machine]]:
            found: dict[K, list[Machine]] = {}
            for (whose, _), machine in await self._known(pieces(stamps)):
                found.setdefault(about(whose), []).append(machine)
            for one, list_ in (before or {}).items():
                if found.get(one) == list_:
                    found[one] = list_  # the same object, of which more may be known
            return found

        async def page(db: Database, of: Sequence[K], *way: Hashable) -> Mapping[K, list[Machine]]:
            return await self.page(
                (read.__name__, *of, *way), map(world, of), lambda: read(db, of, *way), made
            )

        return page


def _world(key: Key) -> int:
    return key[0]


def _itself(key: K) -> K:
    return key


def _one(
    db: Database, read: Callable[[Database, Sequence[K]], Awaitable[Mapping[K, V]]], missing: D
) -> Loader[K, V | D]:
    async def load(keys: list[K]) -> list[V | D]:
        found = await read(db, list(dict.fromkeys(keys)))
        return [found.get(key, missing) for key in keys]

    return Loader(load)


def _page(db: Database, read: Callable[..., Awaitable[Mapping[K, list[V]]]]) -> Loader[tuple[K, A], list[V]]:
    """Pages that are asked for in the same way, of whatever many, are one statement."""
    nothing: list[V] = []  # always the same one, so that what is made of it is made once

    async def load(keys: list[tuple[K, A]]) -> list[list[V]]:
        ways = {id(way): way for _, way in keys}
        if len(ways) == 1:  # a column, most likely
            (way,) = ways.values()
            of = [key for key, _ in keys]
            there = await read(db, list(dict.fromkeys(of)), *way)
            return [there.get(key, nothing) for key in of]
        found: dict[tuple[K, A], list[V]] = {}
        for way in dict.fromkeys(ways.values()):
            of = list(dict.fromkeys(key for key, each in keys if each == way))
            for key, values in (await read(db, of, *way)).items():
                found[key, way] = values
        return [found.get(key, nothing) for key in keys]

    return Loader(load)
