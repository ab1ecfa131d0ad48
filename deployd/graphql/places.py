"""Where pages of the API's lists begin: what a cursor says, checked, as the store takes it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from deployd.graphql.connections import decode
from deployd.store.pages import FIRST_NAME, LAST_MOMENT, LAST_NUMBER, Moment

__all__ = ["moment", "name", "number", "step"]

_Time = Annotated[datetime, Meta(tz=True)]
_Number = Annotated[int, Meta(ge=0, le=LAST_NUMBER)]
_Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]


def name(after: str | None) -> str:
    """In a list by name. Raises InputError; so do all of these."""
    return FIRST_NAME if after is None else str(decode(after, tuple[str])[0])


def moment(after: str | None) -> Moment:
    """In a list that is newest first."""
    if after is None:
        return LAST_MOMENT
    at, machine_id = decode(after, tuple[_Time, UUID])
    return at, machine_id


def number(after: str | None) -> int:
    """Among a service's releases, newest first."""
    return LAST_NUMBER if after is None else int(decode(after, tuple[_Number])[0])


def step(after: str | None) -> tuple[int, datetime] | None:
    """In a history, in either order."""
    if after is None:
        return None
    seq, at = decode(after, tuple[_Seq, _Time])
    return seq, at
