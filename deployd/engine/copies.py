"""How many copies of a service run: what its manifest allows, and within that what somebody wants."""

from __future__ import annotations

from deployd.engine.context import Context
from deployd.model.facts import ServiceFacts
from deployd.model.release import Release
from deployd.model.spec import ScaleSpec
from deployd.store import machines

__all__ = ["copies", "copies_of"]


def copies(scale: ScaleSpec, wish: int | None) -> int:
    """The number that runs: the wish where the manifest allows it, else the least that it allows."""
    return wish if wish is not None and scale.min <= wish <= scale.max else scale.min


async def copies_of(context: Context, release: Release) -> int:
    """How many of this release shall run now."""
    scale = release.spec.scale
    if scale.min == scale.max:
        return scale.min
    service = await machines.get(context.db, release.world_id, release.service_id)
    known = service.facts if service is not None else None
    return copies(scale, known.copies if isinstance(known, ServiceFacts) else None)
