"""What the outside is like today: calls of drivers that fail, hang, lose their answer, answer twice or late.

The soak writes it into a file that every replica reads before each call, so that it holds for all of them
and for those that are started later. So does the step that their wall clocks have made.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from deployd.errors import Retryable, Terminal

__all__ = ["KINDS", "Weather", "weathered"]

KINDS = ("busy", "refusing", "hanging", "losing", "twice", "late")
"""Of bad weather: fails and may be repeated; says no; never answers; does it and loses the answer; does it
twice; answers late."""
_LATE = 0.3  # seconds
_METHODS = ("plan", "apply", "observe", "destroy", "suspend", "route", "unroute", "reserve")

T = TypeVar("T")


@dataclass(frozen=True)
class Weather:
    """As it is in the file."""

    kind: str | None = None
    rate: float = 0.0
    """Which part of all calls it hits."""
    skew: float = 0.0
    """Seconds by which the replicas' wall clocks are wrong."""

    @classmethod
    def read(cls, path: Path) -> Weather:
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return cls()

    def write(self, path: Path) -> None:
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)


async def _through(weather: Weather, chance: random.Random, call: Callable[[], Awaitable[Any]]) -> Any:
    """The call, in this weather."""
    kind = weather.kind if chance.random() < weather.rate else None
    if kind == "busy":
        raise Retryable("the outside is busy")
    if kind == "refusing":
        raise Terminal("the outside says no")
    if kind == "hanging":
        await asyncio.Event().wait()
    answer = await call()
    if kind == "losing":
        raise Retryable("the answer was lost")
    if kind == "twice":
        answer = await call()
    if kind == "late":
        await asyncio.sleep(_LATE)
    return answer


def weathered(driver: type[T], path: Path, chance: random.Random) -> type[T]:
    """The same class of drivers, out in the weather of that file."""

    def exposed(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(self: object, *given: Any, **named: Any) -> Any:
            return await _through(Weather.read(path), chance, lambda: method(self, *given, **named))

        return call

    methods = {
        name: exposed(getattr(driver, name))
        for name in _METHODS
        if inspect.iscoroutinefunction(getattr(driver, name, None))
    }
    return type(driver.__name__, (driver,), methods)
