"""Problems: what a mutation answers when the request is wrong, and what errors of queries look like."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from deployd.errors import (
    DeploydError,
    DriverError,
    Forbidden,
    InputError,
    NotFound,
    PostgresUnavailable,
    SecretsUnreadable,
    Unauthenticated,
)
from deployd.model.identifier import new_id
from deployd.telemetry.metrics import PROBLEMS

__all__ = ["Problem", "attempt", "explain", "or_none", "parse_id", "take"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

_NOT_EXECUTED = (CannotGetOperationTypeError, InvalidOperationTypeError, MissingQueryError)
"""strawberry's own, of a document that lacks what was asked for."""


@strawberry.type(description="Why a request was refused. Nothing was changed.")
class Problem:
    """An InputError, as an answer."""

    code: str = strawberry.field(description="Stable, in capitals; programs compare it.")
    message: str = strawberry.field(description="What is wrong, in one sentence.")
    remedy: str = strawberry.field(description="What to do about it, in the imperative; may be empty.")
    evidence: str = strawberry.field(description="What was seen; may be empty, may have several lines.")
    path: list[str] = strawberry.field(description="The argument that is wrong, from the outside in.")

    @classmethod
    def of(cls, error: InputError, path: list[str]) -> Self:
        """The error, at the argument that caused it."""
        return cls(
            code=error.code, message=error.message, remedy=error.remedy, evidence=error.evidence, path=path
        )


async def attempt(work: Awaitable[T], where: Callable[[InputError], Awaitable[list[str]]]) -> T | Problem:
    """What `work` comes to; an InputError as a Problem, its path said by `where`.

    Who may not do it is told by an error of the whole field instead: that is no matter of arguments.
    """
    try:
        return await work
    except (Unauthenticated, Forbidden):
        raise
    except InputError as error:
        PROBLEMS.add(error.code)
        return Problem.of(error, await where(error))


async def or_none(work: Awaitable[T]) -> T | None:
    """What `work` comes to; None where there is no such thing."""
    try:
        return await work
    except NotFound:
        return None


def parse_id(text: str) -> UUID:
    """The id. Raises InputError for what is none."""
    try:
        return UUID(text)
    except ValueError:
        raise InputError(f"{text[:64]!r} is no id", remedy="Send an id as deployd gave it.") from None


def take(first: int, most: int) -> int:
    """`first`, if it is a size that a page may have. Raises InputError."""
    if not 1 <= first <= most:
        raise InputError(f"first is {first}", remedy=f"Ask for 1 to {most}.")
    return first


def explain(error: GraphQLError) -> None:
    """Make an error fit to be answered: those meant for the caller with code and remedy, all others masked.

    A masked error is logged whole under the id that the caller is told; no text of it leaves.
    """
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, RecursionError):
        error.message = "the document is nested too deeply"
        error.extensions = {"code": "BAD_REQUEST"}
    elif cause is None or isinstance(cause, (GraphQLError, *_NOT_EXECUTED)):  # what was sent is wrong
        error.message = error.message or "the request has no query"
        error.extensions = {"code": "BAD_REQUEST", **(error.extensions or {})}
    elif isinstance(cause, (InputError, DriverError, PostgresUnavailable, SecretsUnreadable)):
        assert isinstance(cause, DeploydError)
        error.message = cause.message
        error.extensions = {"code": cause.code, "remedy": cause.remedy}
    else:
        number = str(new_id())
        _log.error("internal error %s at %s", number, error.path, exc_info=cause)
        error.message = "internal error"
        error.extensions = {
            "code": "INTERNAL",
            "id": number,
            "remedy": f"Look for {number} in the server's log.",
        }
