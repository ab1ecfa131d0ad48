"""Going back to a release: which one by itself, and what that does not undo."""

from __future__ import annotations

from uuid import UUID

from deployd.engine.holds import moment
from deployd.model.facts import DeploymentFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import DeploymentState
from deployd.store import machines, releases
from deployd.store.database import Database

__all__ = ["release_before", "warnings"]


async def warnings(db: Database, world_id: int, service_id: UUID, target: Release) -> tuple[str, ...]:
    """One line for each `before` that ran for a release later than `target`, to its end or not."""
    return tuple(
        f'release {one.number} ran before: "{one.command}" on {moment(one.at)}; a rollback does not undo it'
        for one in await releases.ran_before(db, world_id, service_id, target.number)
    )


async def release_before(db: Database, service: Machine) -> UUID | None:
    """The release that a rollback of the service leads to by itself; None: there is none.

    A deployment that succeeded counts, though the service may not have heard of it yet: whoever sees it
    succeed may go back at once.
    """
    facts = service.facts
    assert isinstance(facts, ServiceFacts)
    if facts.current is not None:
        working = await machines.get(db, service.world_id, facts.current.deployment_id)
        if working is not None and working.state == DeploymentState.SUCCEEDED:
            assert isinstance(working.facts, DeploymentFacts)
            if working.facts.release_id != facts.serving:
                return facts.serving
    return facts.previous
