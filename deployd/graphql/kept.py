"""What is kept between requests, so that a page that was read before costs no more than a look at what moved.

Invariant: nothing here is ever out of date. Releases and transitions never change. Of machines the database
is asked each time: first how often any of their world was written, and where that has moved, which version
each of a page is at; only one that is at another is read again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from deployd.model.machine import Machine, Transition
from deployd.model.release import Release
from deployd.store.reads import AsOf, Key, Stamp, stamp

__all__ = ["Kept", "Machines", "Memory", "Pages", "Shown"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
S = TypeVar("S")

_MOST = 4096
_PAGES = 256


class Kept(Generic[K, V]):
    """What never changes: the values that were asked for last. What is not there is asked for again."""

    def __init__(self, size: int = _MOST) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    async def read(
        self, keys: Sequence[K], read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
    ) -> dict[K, V]:
        """Those that exist; only the ones that are not known are read."""
        values = self._values
        found: dict[K, V] = {}
        for key in keys:
            if key in values:
                values.move_to_end(key)
                found[key] = values[key]
        if missing := [key for key in keys if key not in found]:
            for key, value in (await read(missing)).items():
                found[key] = values[key] = value
            while len(values) > self._size:
                values.popitem(last=False)
        return found


class Machines:
    """Machines as they were read last."""

    def __init__(self, size: int = _MOST) -> None:
        self._size = size
        self._known: OrderedDict[Key, tuple[Stamp, Machine]] = OrderedDict()

    async def read(
        self, stamps: Iterable[Stamp], read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Machine]]]
    ) -> dict[Key, Machine]:
        """The machines that these stamps were just read of, or newer ones; without those gone since."""
        known = self._known
        found: dict[Key, Machine] = {}
        missing: list[Key] = []
        for one in stamps:
            key = one[0]
            there = known.get(key)
            if there is not None and there[0] == one:
                known.move_to_end(key)
                found[key] = there[1]
            else:
                missing.append(key)
        if missing:
            for key, machine in (await read(missing)).items():
                found[key] = machine
                known[key] = stamp(machine), machine
                known.move_to_end(key)
            while len(known) > self._size:
                known.popitem(last=False)
        return found


class Shown:
    """What was made of values that are kept: types of the schema, one for each value."""

    def __init__(self, size: int = 2 * _MOST) -> None:
        self._size = size
        self._known: dict[tuple[object, ...], tuple[object, Any]] = {}
        """By the value's `id`; the value is held, so that no other one can come to have it."""

    def of(self, value: V, make: Callable[[V], S], *how: Hashable) -> S:
        """What `make` makes of this value; made once for each `how`, and always the same object."""
        key = id(value), *how
        known = self._known.get(key)
        if known is None:
            while len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            known = self._known[key] = value, make(value)
        found: S = known[1]
        return found


class _Page:
    """One of them; `turn` is whose it is to look."""

    __slots__ = ("as_of", "content", "looks", "page", "turn")

    def __init__(self) -> None:
        self.as_of: AsOf | None = None
        self.content: bytes | None = None
        self.page: Any = None
        self.turn = asyncio.Lock()
        self.looks = 0
        """That were had."""


class Pages:
    """Pages as they were read last, by what was asked; each with what another one would differ by."""

    def __init__(self, size: int = _PAGES) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, _Page] = OrderedDict()

    async def read(
        self,
        asked: Hashable,
        look: Callable[[], Awaitable[bytes]],
        make: Callable[[bytes, V | None], Awaitable[V]],
        as_of: AsOf,
        now: Callable[[], Awaitable[AsOf]],
    ) -> V:
        """What `make` makes of the content that `look` finds, and of the page as it was.

        It is the same object while the content is the same. `as_of` was read before, and always of the same
        worlds; `now` reads it anew. Of all who come while somebody looks one looks next, for all of them. A
        page that is looked at while something is written is of then or newer, and counts as of before: so it
        is looked at again.
        """
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = _Page()
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(asked)
        if known.as_of != as_of:
            # Whoever looks now may have looked before this one asked; the next one will not have.
            waits, next_one = known.turn.locked(), known.looks + 2
            async with known.turn:
                if known.as_of != as_of and not (waits and known.looks >= next_one):
                    as_of = await now() if waits else as_of  # so that it is of all who wait behind this one
                    content = await look()
                    if content != known.content:
                        known.page, known.content = await make(content, known.page), content
                    known.as_of = as_of
                    known.looks += 1
        found: V = known.page
        return found


class Memory:
    """One for the API."""

    def __init__(self) -> None:
        self.machines = Machines()
        self.releases: Kept[Key, Release] = Kept()
        self.transitions: Kept[tuple[int, int], Transition] = Kept()
        """By world and `seq`."""
        self.pages = Pages()
        self.shown = Shown()
