"""What going back to a release does not undo: commands that later releases ran before they served."""

from __future__ import annotations

from uuid import UUID

from deployd.engine.holds import moment
from deployd.model.release import Release
from deployd.store import releases
from deployd.store.database import Database

__all__ = ["warnings"]


async def warnings(db: Database, world_id: int, service_id: UUID, target: Release) -> tuple[str, ...]:
    """One line for each `before` that ran for a release later than `target`, to its end or not."""
    return tuple(
        f'release {one.number} ran before: "{one.command}" on {moment(one.at)}; a rollback does not undo it'
        for one in await releases.ran_before(db, world_id, service_id, target.number)
    )
