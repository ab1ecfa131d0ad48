"""Which request is being carried out: what is made of it derives its id from the request's.

A request that is sent again under the same idempotency key has the same id, so that nothing is born twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from deployd.model.identifier import new_id

__all__ = ["request_id", "requested"]

_REQUEST: ContextVar[UUID | None] = ContextVar("request", default=None)


def request_id() -> UUID:
    """The id of the request under way; a new one where nobody gave it any."""
    return _REQUEST.get() or new_id()


@contextmanager
def requested(request: UUID) -> Iterator[None]:
    """What is asked for within belongs to this request."""
    token = _REQUEST.set(request)
    try:
        yield
    finally:
        _REQUEST.reset(token)
