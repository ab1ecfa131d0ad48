"""strawberry's decorators with types: what they decorate stays what it is to a type checker."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar, cast

import strawberry
from strawberry.types.fields.resolver import Parameter, Signature

from deployd.graphql.context import Info
from deployd.graphql.requests import carry_out

__all__ = ["mutation", "resolved", "subscription"]

F = TypeVar("F", bound=Callable[..., object])

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(
        description="The same request under the same key is carried out once, and answered again."
    ),
]
_KEY = Parameter("idempotency_key", Parameter.KEYWORD_ONLY, default=None, annotation=IdempotencyKey)


def resolved(*, description: str) -> Callable[[F], F]:
    """A field that is found out when it is asked for."""
    return cast("Callable[[F], F]", strawberry.field(description=description))


def mutation(*, description: str, hidden: Collection[str] = (), keyed: bool = True) -> Callable[[F], F]:
    """A field of the root that changes something: on record, and once for each idempotency key.

    `hidden` arguments are not on record. `keyed` False: what it makes derives from a key in its input.
    """

    def decorate(resolver: F) -> F:
        work = cast("Callable[..., Any]", resolver)

        @functools.wraps(work)
        async def carried_out(self: object, info: Info, **arguments: Any) -> object:
            key = arguments.pop("idempotency_key", None) if keyed else None
            return await carry_out(
                info.context,
                info.field_name,
                arguments,
                frozenset(hidden),
                key,
                lambda: work(self, info, **arguments),
            )

        if keyed:
            signature = Signature.from_callable(work)  # of strawberry: its defaults need not be hashable
            with_key = signature.replace(parameters=[*signature.parameters.values(), _KEY])
            carried_out.__signature__ = with_key  # type: ignore[attr-defined] # what strawberry reads
        return cast("F", strawberry.mutation(description=description)(carried_out))

    return decorate


def subscription(*, description: str) -> Callable[[F], F]:
    """A field of the root that goes on telling: an asynchronous generator."""
    return cast("Callable[[F], F]", strawberry.subscription(description=description))
