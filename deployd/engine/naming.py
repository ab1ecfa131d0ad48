"""Which machine a name means: the living one, or the id that the next one of this name will have."""

from __future__ import annotations

from uuid import UUID

from deployd.engine.context import Context
from deployd.model.identifier import derived_id
from deployd.model.state import MachineKind
from deployd.store import machines

__all__ = ["id_of"]


async def id_of(context: Context, world_id: int, kind: MachineKind, name: str) -> UUID:
    """The living service or resource of this name, or the one to be born, whoever makes it.

    The generation counts those of this name that have ended, so that a new one is never taken for an old one.
    """
    living = await machines.get_named(context.db, world_id, kind, name)
    if living is not None:
        return living.id
    world = await context.world(world_id)
    return derived_id(world.uid, kind, name, await machines.count_ended(context.db, world_id, kind, name))
