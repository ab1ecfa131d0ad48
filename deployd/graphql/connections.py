"""Pages as Relay has them, forward only: https://relay.dev/graphql/connections.htm

A cursor is opaque. Behind it is a position in an order, not a number of rows, so that what is added or taken
away meanwhile neither repeats nor hides anything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Self, TypeVar

import msgspec
import strawberry

from deployd.errors import InputError
from deployd.graphql.fields import Wanted, resolved
from deployd.graphql.lasting import Lasting
from deployd.graphql.problem import take
from deployd.graphql.scalars import CursorText

__all__ = ["PAGE", "AfterItem", "Connection", "Edge", "FirstItems", "PageInfo", "decode", "encode", "rows"]

N = TypeVar("N")
M = TypeVar("M")

_LONGEST = 1024
PAGE = 200

FirstItems = Annotated[int, strawberry.argument(description=f"How many at most, 1 to {PAGE}.")]

AfterItem = Annotated[
    CursorText | None, strawberry.argument(description="Go on behind this item: a cursor of the same list.")
]


@strawberry.type(description="Where a page ends.")
class PageInfo:
    """Relay's."""

    has_next_page: bool = strawberry.field(description="Whether there is more behind it.")
    has_previous_page: bool = strawberry.field(description="Whether something came before it.")
    start_cursor: CursorText | None = strawberry.field(description="Of its first item; null without one.")
    end_cursor: CursorText | None = strawberry.field(description="Of its last item: go on behind it.")


@strawberry.type(description="An item of a page.")
class Edge(Generic[N]):
    """Relay's."""

    node: N = strawberry.field(description="The item.")
    cursor: CursorText = strawberry.field(description="Its place in the list.")


@strawberry.type(description="A page of a list.")
class Connection(Lasting, Generic[N]):
    """Relay's, with the items themselves beside the edges."""

    place: strawberry.Private[Callable[[int], str]]
    more: strawberry.Private[bool]
    begun: strawberry.Private[bool]
    nodes: list[N] = strawberry.field(description="The items alone.")

    @resolved(description="The items with their places.", settled=True)
    def edges(self) -> list[Edge[N]]:
        return [
            Edge(node=one, cursor=CursorText(self.place(number))) for number, one in enumerate(self.nodes)
        ]

    @resolved(description="Where the page ends.", settled=True)
    def page_info(self) -> PageInfo:
        return PageInfo(
            has_next_page=self.more,
            has_previous_page=self.begun,
            start_cursor=CursorText(self.place(0)) if self.nodes else None,
            end_cursor=CursorText(self.place(len(self.nodes) - 1)) if self.nodes else None,
        )

    @classmethod
    def of(
        cls,
        found: Sequence[M],
        first: int,
        node: Callable[[M], N],
        place: Callable[[M], Sequence[object]],
        after: str | None,
    ) -> Self:
        """A page of at most `first` of those found; whoever read asked for one more."""
        return cls(
            place=lambda number: encode(place(found[number])),
            more=len(found) > first,
            begun=after is not None,
            nodes=[node(one) for one in found[:first]],
        )


def rows(first: int, wanted: Wanted) -> int:
    """How many to read for such a page: one more where somebody asks for more. Raises InputError."""
    return take(first, PAGE) + (wanted is None or "pageInfo" in wanted)


def encode(place: Sequence[object]) -> str:
    """The text that clients keep: base64url of a JSON array."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(place))).rstrip(b"=").decode()


def decode(text: str, shape: Any) -> Any:
    """The place that `encode` wrote, as a tuple of this shape. Raises InputError for anything else."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        if b"\\u0000" in content:  # no text of the database
            raise ValueError
        return msgspec.json.decode(content, type=shape)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InputError(
            f"{text[:80]!r} is no cursor of this list",
            remedy="Send a cursor as this list gave it, or none to begin anew.",
        ) from None
