"""What is kept between requests, so that a page that was read before costs no more than a look at what moved.

Invariant: nothing here is ever out of date. Releases and transitions never change. Of machines the database
is asked each time: first how often any of their world was written, and where that has moved, which version
each of a page is at; only one that is at another is read again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from operator import ge
from typing import Any, Generic, TypeVar

from deployd.model.machine import Machine, Transition
from deployd.model.release import Release
from deployd.store.reads import AsOf, Key, Stamp, key_of, stamp

__all__ = ["Kept", "Machines", "Memory", "Pages", "Shown"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
S = TypeVar("S")

_MOST = 4096
_PAGES = 256
_ANSWERS = 64


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
        self._known: OrderedDict[Stamp, Machine] = OrderedDict()
        """Among them some that have another stamp by now: those are asked for no more, and go."""

    async def read(
        self, stamps: Iterable[Stamp], read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Machine]]]
    ) -> dict[Stamp, Machine]:
        """The machines that these stamps were just read of, or newer ones; without those gone since."""
        known = self._known
        found: dict[Stamp, Machine] = {}
        missing: list[Stamp] = []
        for one in stamps:
            if (machine := known.get(one)) is not None:
                known.move_to_end(one)
                found[one] = machine
            else:
                missing.append(one)
        if missing:
            there = await read([key_of(one) for one in missing])
            for one in missing:
                if (machine := there.get(key_of(one))) is not None:
                    found[one] = known[stamp(machine)] = machine
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
    """One of them; `turn` is whose it is to renew it."""

    __slots__ = ("as_of", "page", "turn")

    def __init__(self) -> None:
        self.as_of: AsOf = ()
        self.page: Any = None
        self.turn = asyncio.Lock()

    def serves(self, as_of: AsOf) -> bool:
        """Whether it is as of then or later."""
        return bool(self.as_of) and all(map(ge, self.as_of, as_of))


class Pages:
    """Pages as they were made last, by what was asked."""

    def __init__(self, size: int = _PAGES) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, _Page] = OrderedDict()

    async def read(
        self, asked: Hashable, as_of: AsOf, renew: Callable[[V | None], Awaitable[tuple[AsOf, V]]]
    ) -> V:
        """The page as it was then or later. `as_of`, and what `renew` says, are always of the same worlds.

        `renew` makes the page, of how it was before, and says as of when it is. Of all who come while
        somebody renews it, one does so next, which serves all who asked for it as of then or before.
        """
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = _Page()
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(asked)
        if not known.serves(as_of):
            async with known.turn:
                if not known.serves(as_of):
                    known.as_of, known.page = await renew(known.page)
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
        self.answers = Pages(_ANSWERS)
        """What fields of worlds came to, whole."""
        self.shown = Shown()
