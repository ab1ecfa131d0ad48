"""Releases as drivers take them, and the driver that a deployment works with."""

from __future__ import annotations

from uuid import UUID

from deployd.drivers.api import Deployer, ReleaseSpec, ServiceRef
from deployd.engine.context import Context
from deployd.engine.copies import copies_of
from deployd.engine.wiring import environment
from deployd.errors import NotFound
from deployd.model.facts import DeploymentFacts
from deployd.model.machine import Machine
from deployd.store import releases

__all__ = ["release_spec", "where"]


async def release_spec(context: Context, world_id: int, release_id: UUID) -> ReleaseSpec:
    """A release as drivers take it: its tree laid out, its references resolved now. Raises NotFound."""
    release = await releases.get(context.db, world_id, release_id)
    if release is None or release.source.tree is None:
        raise NotFound(f"there is no release {release_id}")
    tree = await context.tree(release.source.tree)
    env = await environment(context, world_id, release.spec)
    return ReleaseSpec(
        release.id,
        release.number,
        release.spec,
        tree=tree,
        env=env.values,
        secrets=env.secrets,
        hidden=env.hidden,
        missing=env.missing,
        copies=await copies_of(context, release),
    )


async def where(context: Context, machine: Machine) -> tuple[Deployer, ServiceRef]:
    """The driver that this deployment works with, and how it knows the service."""
    facts = machine.facts
    assert isinstance(facts, DeploymentFacts)
    assert machine.service_id is not None
    service = await context.service_ref(machine.world_id, machine.service_id, facts.service)
    return await context.deployer(machine.world_id, facts.capability), service
