"""A service's whole plan: what its deployer would do, how that rolls out, and by which ways it is reached."""

from __future__ import annotations

from dataclasses import replace

from deployd.drivers.api import Deployer, Plan, ReleaseSpec, ServiceRef
from deployd.engine import rollout
from deployd.engine.context import Context
from deployd.engine.routing import drain_seconds, refusals

__all__ = ["plan_release"]


async def plan_release(
    context: Context, deployer: Deployer, service: ServiceRef, release: ReleaseSpec
) -> Plan:
    """What deploying would do; refusals of all who have a say. Changes nothing."""
    planned = await deployer.plan(service, release)
    spec = release.spec
    routed = await drain_seconds(context, service.world_id) is not None
    refused = (
        *rollout.refusals(spec, deployer.supports, routed=routed),
        *await refusals(context, service, spec),
    )
    ways = (
        f"route {one.host}{one.path}" + (f" through the gate {one.gate}" if one.gate else "")
        for one in spec.routes
    )
    return replace(
        planned,
        actions=(*planned.actions, *rollout.described(spec), *ways),
        refusals=(*planned.refusals, *refused),
    )
