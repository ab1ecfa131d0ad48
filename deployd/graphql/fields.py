"""strawberry's decorators with types: what they decorate stays what it is to a type checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import strawberry

__all__ = ["mutation", "resolved", "subscription"]

F = TypeVar("F", bound=Callable[..., object])


def resolved(*, description: str) -> Callable[[F], F]:
    """A field that is found out when it is asked for."""
    return cast("Callable[[F], F]", strawberry.field(description=description))


def mutation(*, description: str) -> Callable[[F], F]:
    """A field of the root that changes something."""
    return cast("Callable[[F], F]", strawberry.mutation(description=description))


def subscription(*, description: str) -> Callable[[F], F]:
    """A field of the root that goes on telling: an asynchronous generator."""
    return cast("Callable[[F], F]", strawberry.subscription(description=description))
