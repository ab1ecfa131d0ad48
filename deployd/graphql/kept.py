"""What is kept between requests, so that a page that was read before costs no more than a look at what moved.

Invariant: nothing here is ever out of date. Releases and transitions never change; of a machine the database
is asked which version it is at, each time, and only one that is at another is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from deployd.model.machine import Machine, Transition
from deployd.model.release import Release
from deployd.store.reads import Key, Stamp, stamp

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


class Pages:
    """Pages as they were read last, by what was asked; each with what another one would differ by."""

    def __init__(self, size: int = _PAGES) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, tuple[bytes, Any]] = OrderedDict()

    async def read(self, asked: Hashable, content: bytes, make: Callable[[], Awaitable[V]]) -> V:
        """The page of this content: the same object as before where that is the same."""
        known = self._known.get(asked)
        if known is not None and known[0] == content:
            self._known.move_to_end(asked)
        else:
            known = self._known[asked] = content, await make()
            self._known.move_to_end(asked)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        found: V = known[1]
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
