"""What can be asked of deployd: the one implementation behind GraphQL, REST, webhooks and CLI.

Each asks the policy, checks what can be checked at once, and leaves births or requests with the
committer. It returns once those are durable; nothing here waits for a machine.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from deployd.access.policy import Action, require
from deployd.engine.birth import birth
from deployd.engine.committer import Commit
from deployd.engine.going_back import release_before
from deployd.engine.requesting import request_id
from deployd.engine.wanted import Patch, Repository, check_there, limited, source_of
from deployd.errors import Conflict, InputError, NotFound
from deployd.model.actor import Actor
from deployd.model.facts import ChangeFacts, ServiceFacts
from deployd.model.identifier import derived_id, new_id
from deployd.model.machine import Machine
from deployd.model.state import ChangeState, DeploymentState, MachineKind, ServiceState
from deployd.model.world import World
from deployd.store import machines, releases, uploads, worlds
from deployd.store.codec import encode
from deployd.store.commit import Post
from deployd.store.database import Database
from deployd.telemetry.subject import ASKING

__all__ = ["Operations"]


_WORLDS = 10_000
"""That are kept at most."""


@dataclass(frozen=True)
class Operations:
    """Made once, in the composition root."""

    db: Database
    commit: Commit
    placement: str
    """Of this host: where working directories are."""
    _worlds: dict[int, World] = field(default_factory=dict, repr=False, compare=False)
    """As they were read last: what was not changed since is not read anew."""

    # -- asking

    async def deploy(
        self,
        actor: Actor | None,
        world: str,
        directory: str | None = None,
        services: Sequence[str] = (),
        key: str | None = None,
        *,
        repository: Repository | None = None,
        upload: UUID | None = None,
        patch: Patch = Patch(),  # noqa: B008 - frozen
        everything: bool = False,
        automatic: bool = False,
        dry_run: bool = False,
    ) -> Machine:
        """Deploy the services of a working directory, a git repository or an upload; the change that does it.

        As a `dry_run` it only plans: what a deployment at that moment would do, and nothing of it.

        Of those that are not named, only what is affected, unless it is to be `everything`. What is
        `automatic` never replaces something newer of the same branch.
        With an idempotency key the same request gives the same change; another request under the same
        key raises Conflict. Raises NotFound, InputError, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.PLAN if dry_run else Action.DEPLOY, world)
        place = await self.world(actor, world)
        source = source_of(directory, repository, upload, patch)
        if place.retired_at is not None:
            raise Conflict(f"world {world!r} is retired", remedy="Create it anew, or name another one.")
        if everything and services:
            raise InputError("everything, and some services", remedy="Name services, or ask for everything.")
        if not place.capabilities:
            raise InputError(f"world {world!r} cannot deploy anything: it has no capabilities")
        what: object = source.directory if source.directory is not None else source
        request: list[object] = [world, what, sorted(services)]
        if everything or automatic:  # else as before there were these, for requests that are sent again
            request += [everything, automatic]
        if dry_run:
            request.append("plan")
        digest = hashlib.sha256(encode(request).encode()).hexdigest()
        change_id = new_id() if key is None else derived_id(place.uid, "change", who.name, key)
        # Asked again, the upload may have been taken already.
        if key is None or await machines.get(self.db, place.world_id, change_id) is None:
            await check_there(self.db, place.world_id, source)
        facts = ChangeFacts(
            source,
            digest,
            who.name,
            tuple(services),
            everything=everything,
            automatic=automatic,
            traceparent=None if (asking := ASKING.get()) is None else asking.traceparent,
            dry_run=dry_run,
        )
        await self.commit.store(
            births=(birth(place.world_id, change_id, facts, who.name, placement=self.placement),)
        )
        change = await machines.get(self.db, place.world_id, change_id)
        assert change is not None
        assert isinstance(change.facts, ChangeFacts)
        if change.facts.digest != digest:
            raise Conflict(
                f"the idempotency key {key!r} was used for another request", remedy="Take a new key."
            )
        return change

    async def upload(self, actor: Actor | None, world: str, content: AsyncIterable[bytes]) -> UUID:
        """Keep an archive for a `deploy` in this world, for a day at most; its id.

        Raises what `content` raises, NotFound, InputError, Unauthenticated, Forbidden.
        """
        require(actor, Action.DEPLOY, world)
        place = await self.world(actor, world)
        upload_id = new_id()
        await uploads.add(self.db, place.world_id, upload_id, limited(content))
        return upload_id

    async def cancel(self, actor: Actor | None, machine_id: UUID) -> Machine:
        """Ask a change, a deployment or a service to give up what it does."""
        who, machine = await self._reached(actor, Action.CANCEL, machine_id)
        return await self._ask(who, machine, "cancel")

    async def retry(self, actor: Actor | None, machine_id: UUID) -> Machine:
        """Try a failed deployment again as a new one; wake one that waits for its next try."""
        who, machine = await self._reached(actor, Action.RETRY, machine_id)
        if machine.kind is MachineKind.DEPLOYMENT and machine.state == DeploymentState.SUCCEEDED:
            raise Conflict("the deployment succeeded; there is nothing to retry", remedy="Deploy again.")
        if machine.kind not in (MachineKind.DEPLOYMENT, MachineKind.RESOURCE):
            raise InputError(f"a {machine.kind} cannot be retried", remedy="Retry one of its deployments.")
        return await self._ask(who, machine, "retry", requested_at=_now())

    async def approve(self, actor: Actor | None, machine_id: UUID, plan_hash: str) -> Machine:
        """Approve exactly the plan with this hash."""
        who, machine = await self._reached(actor, Action.APPROVE, machine_id)
        if machine.state not in (ChangeState.AWAITING_APPROVAL, DeploymentState.AWAITING_APPROVAL):
            raise Conflict(f"the {machine.kind} is {machine.state}; it awaits no approval")
        if getattr(machine.facts, "plan_hash", None) != plan_hash:
            raise Conflict("its plan is another one by now", remedy="Look at the plan again.")
        return await self._ask(who, machine, "approve", plan_hash=plan_hash)

    async def rollback(
        self, actor: Actor | None, world: str, service: str, release_id: UUID | None = None
    ) -> Machine:
        """Ask a service to go back to a release: the one named, or the one before."""
        who = require(actor, Action.ROLL_BACK, world)
        machine = await self.service(actor, world, service)
        assert isinstance(machine.facts, ServiceFacts)
        target = release_id or await release_before(self.db, machine)
        held = next((one for one in machine.facts.holds if target and one.release_id == target), None)
        if release_id is None and held is not None:
            raise Conflict(
                f"release {held.number}, which service {service} served before, is held by {held.by}",
                remedy=f"Name the release to go to: deployd rollback {service} --to NUMBER",
            )
        if target is None:
            raise Conflict(f"service {service} has no earlier release", remedy="Name one: see its releases.")
        release = await releases.get(self.db, machine.world_id, target)
        if release is None or release.service_id != machine.id:
            raise NotFound(f"service {service} has no release {target}")
        return await self._ask(who, machine, "rollback", release_id=str(target), requested_at=_now())

    async def suspend(self, actor: Actor | None, world: str, service: str) -> Machine:
        """Ask a service to stop running, and to stay so."""
        return await self._ask_service(actor, Action.SUSPEND, world, service)

    async def resume(self, actor: Actor | None, world: str, service: str) -> Machine:
        """Ask a suspended service to serve again."""
        return await self._ask_service(actor, Action.RESUME, world, service)

    async def retire(self, actor: Actor | None, world: str, service: str) -> Machine:
        """Ask a service to end for good. Its releases, logs and history are kept."""
        return await self._ask_service(actor, Action.RETIRE, world, service)

    async def run(self, actor: Actor | None, world: str, service: str) -> Machine:
        """Ask a service with a schedule to run now, once."""
        who = require(actor, Action.RUN, world)
        machine = await self.service(actor, world, service)
        assert isinstance(machine.facts, ServiceFacts)
        if machine.facts.schedule is None:
            remedy = "Give it a `schedule:` in deployd.yaml if it shall run and end."
            raise Conflict(f"service {service} has no schedule: it stays up", remedy=remedy)
        if machine.state != ServiceState.SERVING:
            raise Conflict(f"service {service} is {machine.state}", remedy="Let it serve first.")
        if machine.facts.run is not None:
            raise Conflict(f"service {service} runs already", remedy="Wait for its end, or cancel that.")
        return await self._ask(who, machine, "run")

    # -- looking

    async def worlds(self, actor: Actor | None) -> list[World]:
        """All worlds that exist for the actor."""
        who = require(actor, Action.VIEW, None)
        return [one for one in await worlds.list_all(self.db) if who.reaches(one.name)]

    async def world(self, actor: Actor | None, name: str) -> World:
        """The world of this name. Raises NotFound with the nearest one."""
        require(actor, Action.VIEW, name)
        world = await worlds.get(self.db, name, self._worlds)
        if world is not None:
            if len(self._worlds) >= _WORLDS:
                self._worlds.clear()
            self._worlds[world.world_id] = world
        else:
            names = [one.name for one in await self.worlds(actor) if one.retired_at is None]
            raise NotFound(f"there is no world {name!r}", remedy=_suggest(name, names))
        return world

    async def service(self, actor: Actor | None, world: str, name: str) -> Machine:
        """The living service of this name."""
        place = await self.world(actor, world)
        machine = await machines.get_named(self.db, place.world_id, MachineKind.SERVICE, name)
        if machine is None:
            there = await machines.list_kind(self.db, place.world_id, MachineKind.SERVICE)
            raise NotFound(
                f"world {world!r} has no service {name!r}",
                remedy=_suggest(name, [str(s.name) for s in there]),
            )
        return machine

    async def machine(self, actor: Actor | None, machine_id: UUID) -> Machine:
        """The machine with this id, in any world that exists for the actor. Raises NotFound."""
        _, machine = await self.located(actor, machine_id)
        return machine

    async def located(self, actor: Actor | None, machine_id: UUID) -> tuple[World, Machine]:
        """The same, with its world."""
        places = {one.world_id: one for one in await self.worlds(actor)}
        machine = await machines.find(self.db, list(places), machine_id)
        if machine is None:
            raise NotFound(f"there is nothing with the id {machine_id}")
        return places[machine.world_id], machine

    # -- how

    async def _reached(self, actor: Actor | None, action: Action, machine_id: UUID) -> tuple[Actor, Machine]:
        """The machine with this id, if the actor may do this in its world."""
        world, machine = await self.located(actor, machine_id)
        return require(actor, action, world.name), machine

    async def _ask_service(self, actor: Actor | None, action: Action, world: str, service: str) -> Machine:
        who = require(actor, action, world)
        machine = await self.service(actor, world, service)
        if machine.state == ServiceState.RETIRING and action is not Action.RETIRE:
            raise Conflict(f"service {service} is retiring", remedy="Cancel that first.")
        return await self._ask(who, machine, action.value)

    async def _ask(self, actor: Actor, machine: Machine, trigger: str, **payload: str) -> Machine:
        """Leave the request in the machine's mailbox; the machine as it was just before."""
        # Should the post be stored twice (its answer was lost), what is born of it is born once.
        content: Mapping[str, object] = {"request_id": str(request_id()), **payload}
        await self.commit.store(posts=(Post(machine.world_id, machine.id, trigger, actor.name, content),))
        return machine


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _suggest(name: str, there: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, there, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"There are: {', '.join(there)}." if there else "There is none yet."
