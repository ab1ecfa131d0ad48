"""The manifest of a change's tree, read with what its world has."""

from __future__ import annotations

import difflib
from pathlib import Path

from deployd.catalog import offered
from deployd.engine.context import ENTRYPOINT, Context
from deployd.errors import NotFound
from deployd.manifest import Offer, find
from deployd.model.facts import ChangeFacts
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store import machines

__all__ = ["read_specs"]


async def read_specs(context: Context, world_id: int, facts: ChangeFacts) -> list[ServiceSpec]:
    """All services of the tree that the change took, as they are in its world.

    Raises ManifestError, NotFound.
    """
    assert facts.source.tree is not None
    directory = facts.source.directory
    offer = await _offer(context, world_id)
    manifest = find(
        await context.tree(facts.source.tree),
        facts.source.shown if directory is None else Path(directory),
        world=offer.world,
        offer=offer,
    )
    unknown = [name for name in facts.services if name not in manifest.services]
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(manifest.services), n=1)
        raise NotFound(
            f"the manifest has no service {unknown[0]!r}",
            remedy=f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(manifest.services)}.",
        )
    return list(manifest.services.values())


async def _offer(context: Context, world_id: int) -> Offer:
    """What the world has at this moment."""
    world = await context.world(world_id)
    services = await machines.list_kind(context.db, world_id, MachineKind.SERVICE)
    secrets = await context.vault.list_secrets(world_id)
    return Offer(
        world.name,
        slugs={slug: one.definition for slug, one in offered(world.capabilities).items()},
        services=frozenset(str(one.name) for one in services),
        secrets=frozenset(one.name for one in secrets),
        gates=frozenset(world.gates),
        entrypoints=frozenset({ENTRYPOINT} & world.capabilities.keys()),
    )
