"""strawberry's decorators with types: what they decorate stays what it is to a type checker."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Annotated, Any, TypeVar, cast

import strawberry
from strawberry.types.fields.resolver import Parameter, Signature

from deployd.graphql.context import Info
from deployd.graphql.requests import carry_out

__all__ = ["Many", "Wanted", "mutation", "resolved", "subscription"]

F = TypeVar("F", bound=Callable[..., object])

Many = Callable[..., Awaitable[Sequence[Any]]]
"""Of a context, sources, `Wanted`, and the field's arguments: one for each source."""
Wanted = Collection[str] | None
"""Which fields of what is answered are asked for, as the schema names them; None: any of them may be."""

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(
        description="The same request under the same key is carried out once, and answered again."
    ),
]
_KEY = Parameter("idempotency_key", Parameter.KEYWORD_ONLY, default=None, annotation=IdempotencyKey)


def resolved(*, description: str, many: Many | None = None, settled: bool = False) -> Callable[[F], F]:
    """A field that is found out when it is asked for; by `many` for a whole column of objects at once.

    Both answer alike: `many` is what the resolver itself asks with one source. Its arguments are scalars,
    each named by one word. `settled`: by itself it says the same of an object to all who may ask, at any
    time, until something of the object's world is written (`world_heads.writes`).
    """

    def decorate(resolver: F) -> F:
        resolver.many, resolver.settled = many, settled  # type: ignore[attr-defined] # compiling.py looks for them
        return cast("F", strawberry.field(description=description)(resolver))

    return decorate


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
