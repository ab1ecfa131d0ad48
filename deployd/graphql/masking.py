"""Errors about documents and variables repeat parts of these; where one may be a secret, they must not."""

from __future__ import annotations

import re

from graphql import GraphQLError

__all__ = ["mask"]

_SENSITIVE = re.compile("secret", re.IGNORECASE)
_HARMLESS = re.compile(
    r"Cannot query field |Unknown (argument|type|operation|fragment|directive) |"
    r"Field '\w+' argument '\w+' of type '\S+' is required|Field '\w+' of type '\S+' must have a selection|"
    r"Variable '\$\w+' (of required type '\S+' was not provided|is not defined|is never used)|"
    r"the query |internal error"
)
"""What speaks of names only. Whatever else graphql-core says may repeat a value, or a part of one."""


def mask(document: str | None, errors: list[GraphQLError]) -> None:
    """Whoever handles secrets is told where an error is, and what it is if that repeats no value.

    For errors without a cause of our own only: those of graphql-core about the document and its variables.
    """
    if document is None or not _SENSITIVE.search(document):
        return
    for error in errors:
        foreign = error.original_error is None or isinstance(error.original_error, GraphQLError)
        if foreign and not _HARMLESS.match(error.message):
            error.message = "the request is wrong here; it is not repeated, since it may hold a secret"
