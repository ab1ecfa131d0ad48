"""What never changes, kept for a while: read once by whoever asks first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

__all__ = ["Kept"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The values that were asked for last. What is not there is asked for again: it may come to be."""

    def __init__(self, size: int = 4096) -> None:
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
