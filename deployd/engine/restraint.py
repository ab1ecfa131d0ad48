"""What can be asked about holds and rollbacks: hold, lift, and what a rollback would not undo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from deployd.access.policy import Action, require
from deployd.engine.going_back import release_before, warnings
from deployd.engine.operations import Operations
from deployd.errors import Conflict, InputError, NotFound
from deployd.model.actor import Actor
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import ServiceState
from deployd.store import releases
from deployd.store.commit import Post

__all__ = ["Restraint"]

_NOTE = 500  # characters


@dataclass(frozen=True)
class Restraint:
    """Made once, in the composition root."""

    operations: Operations

    async def hold(
        self, actor: Actor | None, world: str, service: str, release: UUID | None = None, note: str = ""
    ) -> Machine:
        """Hold the service at what it serves, or one of its releases; the service as it was just before.

        What is under way against it is cancelled. Raises NotFound, InputError, Conflict, Unauthenticated,
        Forbidden.
        """
        who = require(actor, Action.HOLD, world)
        machine = await self._living(actor, world, service)
        if len(note) > _NOTE or not note.isprintable():
            raise InputError(
                f"the note is no line of at most {_NOTE} characters", remedy="Write a shorter one."
            )
        payload: dict[str, object] = {"at": datetime.now(UTC).isoformat(), "note": note}
        if release is not None:
            payload["release_id"] = str((await self._release(machine, service, release)).id)
        post = Post(machine.world_id, machine.id, "hold", who.name, payload)
        await self.operations.commit.store(posts=(post,))
        return machine

    async def lift(
        self, actor: Actor | None, world: str, service: str, release: UUID | None = None
    ) -> Machine:
        """Lift the hold of one release, or without one all holds of the service. Raises the same."""
        who = require(actor, Action.HOLD, world)
        machine = await self._living(actor, world, service)
        holds = _facts(machine).holds
        if release is not None:
            number = (await self._release(machine, service, release)).number
            if all(one.release_id != release for one in holds):
                raise Conflict(f"release {number} of service {service} is not held", remedy=_there(machine))
        elif not holds:
            raise Conflict(f"service {service} is not held", remedy="There is nothing to lift.")
        payload = {} if release is None else {"release_id": str(release)}
        post = Post(machine.world_id, machine.id, "lift", who.name, payload)
        await self.operations.commit.store(posts=(post,))
        return machine

    async def warnings(self, machine: Machine, release: UUID | None = None) -> tuple[str, ...]:
        """What a rollback of this service to a release (None: the one before) would not undo.

        For whoever was let see the service. Raises NotFound.
        """
        facts = _facts(machine)
        target = release or await release_before(self.operations.db, machine)
        if target is None:
            return ()
        found = await self._release(machine, facts.name, target)
        return await warnings(self.operations.db, machine.world_id, machine.id, found)

    async def _living(self, actor: Actor | None, world: str, service: str) -> Machine:
        machine = await self.operations.service(actor, world, service)
        if machine.state == ServiceState.RETIRING:
            raise Conflict(f"service {service} is retiring", remedy="Cancel that first.")
        return machine

    async def _release(self, machine: Machine, service: str, release: UUID) -> Release:
        found = await releases.get(self.operations.db, machine.world_id, release)
        if found is None or found.service_id != machine.id:
            raise NotFound(
                f"service {service} has no release {release}", remedy=f"See: deployd history {service}"
            )
        return found


def _facts(machine: Machine) -> ServiceFacts:
    assert isinstance(machine.facts, ServiceFacts)
    return machine.facts


def _there(machine: Machine) -> str:
    held = [
        "the service itself" if one.release_id is None else f"release {one.number}"
        for one in _facts(machine).holds
    ]
    return f"What is held: {', '.join(held)}." if held else "Nothing of it is held."
