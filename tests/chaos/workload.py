"""Somebody who asks for things while everything breaks, and takes refusals and lost answers as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from deployd.engine.birth import birth
from deployd.engine.operations import Operations
from deployd.engine.restraint import Restraint
from deployd.engine.worlds import Worlds
from deployd.errors import DeploydError, PostgresUnavailable, StoreError, Unsupported
from deployd.model.facts import ChangeFacts, DeploymentFacts, ResourceFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store import machines, worlds
from deployd.store.commit import Post
from tests.chaos.schedule import Ask
from tests.house import ADA, put

__all__ = ["Workload"]

_TRIES = 3
"""How often somebody repeats what got no answer."""


@dataclass
class Workload:
    """Carries out what a schedule asks for."""

    operations: Operations
    home: Path
    log: list[str]
    changes: dict[str, Machine] = field(default_factory=dict)
    """The latest of each world."""
    last: dict[str, Ask] = field(default_factory=dict)
    """The latest deployment that was asked for."""

    async def ask(self, ask: Ask) -> None:
        """Once, or again where no answer came."""
        verb = ask.verb.partition(" ")[0]
        for number in range(_TRIES):
            try:
                await _VERBS[verb](self, ask)
                self.log.append(f"{ask}")
                return
            except (PostgresUnavailable, TimeoutError) as error:
                self.log.append(f"{ask}: try {number + 1}: {error}")
                await asyncio.sleep(0.2)
            except StoreError as error:
                self.log.append(f"{ask}: {error} {error.evidence}")
                await asyncio.sleep(0.2)
            except DeploydError as error:
                self.log.append(f"{ask}: {error.code} {error.message.splitlines()[0]}")
                return

    async def deploy(self, ask: Ask) -> None:
        self.last[ask.world] = ask
        folder = self.home / "work" / f"{ask.world}-{ask.at:.6f}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            "deployd: 1",
            "services:",
            f"  {ask.service}:",
            f"    run: {ask.run}",
            "    port: 80",
            "    health: {path: /, timeout: 2s}",
            "    scale: {min: 1, max: 3}",
        ]
        if ask.needs:
            lines.append("    resources: {db: postgres}")
        if ask.rollout == "canary":
            lines.append("    rollout: {strategy: canary, steps: [10, 50], interval: 1s}")
        else:
            lines.append(f"    rollout: {ask.rollout}")
        put(folder / "deployd.yaml", "\n".join(lines) + "\n")  # whoever asks again writes it again
        key = f"{ask.at:.6f} {ask.service}"
        self.changes[ask.world] = await self.operations.deploy(ADA, ask.world, str(folder), key=key)

    async def again(self, ask: Ask) -> None:
        """Somebody who lost an answer asks the same under the same key."""
        if ask.world in self.last:
            await self.deploy(self.last[ask.world])

    async def cancel(self, ask: Ask) -> None:
        if (change := self.changes.get(ask.world)) is None:
            return
        target = change.id
        if ask.verb.endswith("deployment"):
            facts = (await self.operations.machine(ADA, change.id)).facts
            assert isinstance(facts, ChangeFacts)
            if not facts.deployments:
                return
            target = facts.deployments[0]
        await self.operations.cancel(ADA, target)

    async def retry(self, ask: Ask) -> None:
        service = await self.operations.service(ADA, ask.world, ask.service)
        made = await machines.list_deployments(self.operations.db, service.world_id, service.id, 1)
        if made:
            await self.operations.retry(ADA, made[0].id)

    async def rollback(self, ask: Ask) -> None:
        await self.operations.rollback(ADA, ask.world, ask.service)

    async def suspend(self, ask: Ask) -> None:
        await self.operations.suspend(ADA, ask.world, ask.service)

    async def resume(self, ask: Ask) -> None:
        await self.operations.resume(ADA, ask.world, ask.service)

    async def scale(self, ask: Ask) -> None:
        service = await self.operations.service(ADA, ask.world, ask.service)
        post = Post(service.world_id, service.id, "scale", ADA.name, {"copies": ask.number})
        await self.operations.commit.store(posts=(post,))

    async def approve(self, ask: Ask) -> None:
        await self.approve_all(ask.world)

    async def approve_all(self, name: str) -> None:
        """Whatever awaits it, as it is planned now."""
        world = await self.operations.world(ADA, name)
        for kind in (MachineKind.CHANGE, MachineKind.DEPLOYMENT):
            for one in await machines.list_kind(self.operations.db, world.world_id, kind, all_=True):
                if one.state == "awaiting_approval":
                    assert isinstance(one.facts, ChangeFacts | DeploymentFacts)
                    await self.operations.approve(ADA, one.id, str(one.facts.plan_hash))

    async def hold(self, ask: Ask) -> None:
        await Restraint(self.operations).hold(ADA, ask.world, ask.service)

    async def lift(self, ask: Ask) -> None:
        await Restraint(self.operations).lift(ADA, ask.world, ask.service)

    async def retire(self, ask: Ask) -> None:
        if ask.verb == "retire world":
            await Worlds(self.operations, self._no_driver).retire(ADA, ask.world)
        else:
            await self.operations.retire(ADA, ask.world, ask.service)

    async def create(self, ask: Ask) -> None:
        """A resource that stands by itself."""
        world = await worlds.get(self.operations.db, ask.world)
        if world is None:
            return
        name = f"standing-{ask.number}"
        facts = ResourceFacts(name, "postgres", "data", settings={"size": 1}, standing=True)
        made = derived_id(world.uid, "standing", name)
        await self.operations.commit.store(births=(birth(world.world_id, made, facts, ADA.name, name=name),))

    async def update(self, ask: Ask) -> None:
        await self._of_resource(ask, "update", {"params": {"size": int(ask.at * 1000)}})

    async def delete(self, ask: Ask) -> None:
        await self._of_resource(ask, "delete", {})

    async def _of_resource(self, ask: Ask, trigger: str, payload: dict[str, object]) -> None:
        world = await self.operations.world(ADA, ask.world)
        name = f"standing-{ask.number}"
        found = await machines.get_named(self.operations.db, world.world_id, MachineKind.RESOURCE, name)
        if found is not None:
            post = Post(world.world_id, found.id, trigger, ADA.name, payload)
            await self.operations.commit.store(posts=(post,))

    @staticmethod
    def _no_driver(name: str, config: object) -> object:
        raise Unsupported(name)


_VERBS: dict[str, Callable[[Workload, Ask], Awaitable[None]]] = {
    "deploy": Workload.deploy,
    "again": Workload.again,
    "cancel": Workload.cancel,
    "retry": Workload.retry,
    "rollback": Workload.rollback,
    "suspend": Workload.suspend,
    "resume": Workload.resume,
    "scale": Workload.scale,
    "approve": Workload.approve,
    "hold": Workload.hold,
    "lift": Workload.lift,
    "retire": Workload.retire,
    "create": Workload.create,
    "update": Workload.update,
    "delete": Workload.delete,
}
