"""What mutations answer, kept by reference, so that a request that is sent again is answered again."""

from __future__ import annotations

from typing import Any, ClassVar, Self
from uuid import UUID

from deployd.errors import NotFound
from deployd.graphql.context import Context
from deployd.model.machine import Machine
from deployd.store import machines

__all__ = ["Answer", "MachineAnswer", "keep", "restore"]

_TYPES: dict[str, type[Answer]] = {}


class Answer:
    """A type that a mutation answers. `restore` is the inverse of `keep`, but for what moved since."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Known by its name from here on."""
        super().__init_subclass__(**options)
        _TYPES[cls.__name__] = cls

    def keep(self) -> object:
        """What finds it again, as JSON."""
        raise NotImplementedError

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """It, as it is now. Raises NotFound where it is not there any more."""
        raise NotImplementedError


class MachineAnswer(Answer):
    """One that projects a machine."""

    machine: Machine

    def keep(self) -> object:
        """World and id."""
        return [self.machine.world_id, str(self.machine.id)]

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """Machines are kept for ever, in their last state."""
        world_id, machine_id = kept
        machine = await machines.get(context.api.db, world_id, UUID(machine_id))
        world = next(
            (one for one in await context.operations.worlds(context.actor) if one.world_id == world_id), None
        )
        if machine is None or world is None:
            raise NotFound("what the request came to is not there any more")
        return cls.project(machine, world.name)

    @classmethod
    def project(cls, machine: Machine, world: str) -> Self:
        """The machine as this type; `world` is the name of its world."""
        raise NotImplementedError


def keep(answer: Answer) -> dict[str, object]:
    """A reference to it, as JSON."""
    return {"type": type(answer).__name__, "kept": answer.keep()}


async def restore(context: Context, reference: dict[str, Any]) -> Answer:
    """What it refers to. Raises NotFound, Conflict where it is seen only once."""
    return await _TYPES[reference["type"]].restore(context, reference["kept"])
