"""Holds: what must not be deployed to a service."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from deployd.graphql.context import Info
from deployd.graphql.fields import resolved
from deployd.graphql.releases import Release, load_release
from deployd.model import hold as words

__all__ = ["Hold"]


@strawberry.type(description="Somebody's word that a service, or a release of it, is not deployed.")
class Hold:
    """The model's Hold."""

    model: strawberry.Private[words.Hold]
    world_id: strawberry.Private[int]
    by: str = strawberry.field(description="Who holds it.")
    at: datetime = strawberry.field(description="Since when.")
    note: str = strawberry.field(description="Why, for people; may be empty.")

    @classmethod
    def of(cls, one: words.Hold, world_id: int) -> Self:
        """The hold as its service has it."""
        return cls(model=one, world_id=world_id, by=one.by, at=one.at, note=one.note)

    @resolved(
        description="The release that is held, with whatever is made of the same; null: the service itself."
    )
    async def release(self, info: Info) -> Release | None:
        return await load_release(info.context, self.world_id, self.model.release_id)
