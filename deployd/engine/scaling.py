"""What can be asked about a service's copies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deployd.access.policy import Action, require
from deployd.drivers.api import Deployer
from deployd.engine.operations import Operations
from deployd.errors import Conflict, InputError, Unsupported
from deployd.model.actor import Actor
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.state import ServiceState
from deployd.store import releases
from deployd.store.commit import Post

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling:
    """Made once, in the composition root."""

    operations: Operations
    deployer: Callable[[int, str], Awaitable[Deployer]]
    """The deployer behind a world's capability. Raises Unsupported."""

    async def scale(self, actor: Actor | None, world: str, service: str, copies: int) -> Machine:
        """Run so many copies from now on; the service as it was just before.

        Its manifest owns the range, and what it does not allow is refused. Raises NotFound, Unsupported,
        InputError, Conflict, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.SCALE, world)
        operations = self.operations
        machine = await operations.service(actor, world, service)
        assert isinstance(machine.facts, ServiceFacts)
        if machine.state == ServiceState.RETIRING:
            raise Conflict(f"service {service} is retiring", remedy="Cancel that first.")
        await self._check_driver(machine, machine.facts, world, copies)
        serving = machine.facts.serving
        release = serving and await releases.get(operations.db, machine.world_id, serving)
        if not release:
            raise Conflict(f"service {service} serves nothing yet", remedy="Deploy it first.")
        _check_manifest(service, release, copies)
        await operations.commit.store(
            posts=(Post(machine.world_id, machine.id, "scale", who.name, {"copies": copies}),)
        )
        return machine

    async def _check_driver(self, machine: Machine, facts: ServiceFacts, world: str, copies: int) -> None:
        able = await self.deployer(machine.world_id, facts.capability)
        most = able.supports.max_scale
        if copies > most:
            can = "one copy" if most == 1 else f"at most {most} copies"
            raise Unsupported(
                f"world {world} runs {can} of a service; its deployer can do no more",
                remedy=f"Ask for {'1' if most == 1 else f'1 to {most}'}, or use another world.",
            )


def _check_manifest(service: str, release: Release, copies: int) -> None:
    """The number is one that the manifest of what is served allows. Raises Conflict, InputError."""
    scale, written = release.spec.scale, f"deployd.yaml, as release {release.number} has it"
    if release.spec.schedule is not None:
        raise Conflict(
            f"service {service} runs by a schedule and ends: it has no copies",
            remedy=f"That is written in `schedule:` of {service} in {written}.",
        )
    if scale.min <= copies <= scale.max:
        return
    fixed = scale.min == scale.max
    allowed = f"{scale.min} to {scale.max} copies"
    if fixed:
        allowed = "exactly 1 copy" if scale.min == 1 else f"exactly {scale.min} copies"
    raise InputError(
        f"service {service} may have {allowed}, not {copies}",
        remedy=f"That is written in `scale:` of {service} in {written}: "
        + ("write `scale: {min: …, max: …}` there, and deploy." if fixed else "change it there, and deploy."),
    )
