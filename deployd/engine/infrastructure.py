"""What can be asked about resources: looked at, and deleted by name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from deployd.access.policy import Action, require
from deployd.engine.operations import Operations
from deployd.errors import Conflict, NotFound
from deployd.model.actor import Actor
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store import machines
from deployd.store.commit import Post

__all__ = ["Infrastructure"]


@dataclass(frozen=True)
class Infrastructure:
    """Made once, in the composition root."""

    operations: Operations

    async def resource(self, actor: Actor | None, world: str, name: str) -> Machine:
        """The living resource of this name. Raises NotFound with the nearest one."""
        require(actor, Action.VIEW, world)
        place = await self.operations.world(actor, world)
        db = self.operations.db
        found = await machines.get_named(db, place.world_id, MachineKind.RESOURCE, name)
        if found is None:
            names = [str(one.name) for one in await self._all(place.world_id)]
            near = difflib.get_close_matches(name, names, n=1)
            there = f"There are: {', '.join(names)}." if names else "There is none yet."
            raise NotFound(
                f"world {world!r} has no resource {name!r}",
                remedy=f"Did you mean {near[0]!r}?" if near else there,
            )
        return found

    async def delete(self, actor: Actor | None, world: str, name: str) -> Machine:
        """Delete it with its data: only what no service has any more; the resource as it was just before.

        Raises Conflict, NotFound, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.DELETE_RESOURCE, world)
        found = await self.resource(actor, world, name)
        assert isinstance(found.facts, ResourceFacts)
        users = await machines.list_many(self.operations.db, found.world_id, found.facts.users)
        if users:
            names = ", ".join(one.facts.name for one in users if isinstance(one.facts, ServiceFacts))
            raise Conflict(
                f"resource {name} is in use by {names}",
                remedy="Take it out of the manifest and deploy, or retire the service; then delete it.",
            )
        await self.operations.commit.store(posts=(Post(found.world_id, found.id, "delete", who.name),))
        return found

    async def _all(self, world_id: int) -> list[Machine]:
        return await machines.list_kind(self.operations.db, world_id, MachineKind.RESOURCE)
