"""An operation as an HTTP request states it: in the body of a POST, or in the address of a GET.

https://graphql.github.io/graphql-over-http/draft/
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["Media", "Operation", "media", "read"]


class Media(StrEnum):
    """What an answer may be."""

    JSON = "application/json"
    """Always 200 where the request could be read: errors are inside."""
    GRAPHQL = "application/graphql-response+json"
    """With the status of what happened."""
    EVENTS = "text/event-stream"
    """graphql-sse, as distinct connections."""
    PAGE = "text/html"
    """The playground."""


class Operation(msgspec.Struct, rename={"operation_name": "operationName"}):
    """What to execute."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


_PARAMETERS = ("query", "operationName", "variables", "extensions")


async def read(request: web.Request) -> Operation:
    """The operation. Raises an HTTP error 400 that says what is wrong and repeats no value."""
    try:
        if request.method != "GET":
            found = msgspec.json.decode(await request.read(), type=Operation)
        else:
            found = msgspec.convert(_parameters(request), Operation)
    except (ValueError, RecursionError) as error:  # msgspec's errors, and those of UTF-8, are ValueErrors
        text = f"the request is no GraphQL operation: {error}"
        raise web.HTTPBadRequest(text=text[:300]) from error
    if not found.query:
        raise web.HTTPBadRequest(text="the request has no query")
    return found


def _parameters(request: web.Request) -> dict[str, object]:
    """Of the address: variables and extensions are JSON there. Raises ValueError."""
    found: dict[str, object] = {}
    for name in _PARAMETERS:
        values = request.query.getall(name, [])
        if len(values) > 1:
            raise ValueError(f"`{name}` is there {len(values)} times")
        if values and (name in ("query", "operationName") or values[0]):
            structured = name in ("variables", "extensions")
            found[name] = msgspec.json.decode(values[0]) if structured else values[0]
    return found


def media(accept: str, offered: Sequence[Media]) -> Media:
    """What is wanted most of what is offered; the first of these where `accept` says nothing of them."""
    best, weight = offered[0], 0.0
    for part in accept.split(","):
        name, *parameters = (one.strip().lower() for one in part.split(";"))
        quality = next((_quality(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
        if quality > weight and name in offered:
            best, weight = Media(name), quality
    return best


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
