"""What is below services, and what is below deployments: for whole columns of them, by one read each.

What a resolver of one object asks with a list of one, a compiled page asks for all of its objects at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol
from uuid import UUID

from deployd.graphql import deployments as lists
from deployd.graphql import places
from deployd.graphql.connections import Connection, rows
from deployd.graphql.context import Context
from deployd.graphql.deployments import Deployment
from deployd.graphql.fields import Wanted
from deployd.graphql.kept import Shown
from deployd.graphql.releases import Release, load_releases
from deployd.graphql.resources import Resource
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.store.reads import Key

__all__ = ["deployment", "deployments", "previous", "resources", "serving"]


class _Service(Protocol):
    """The schema's, which is made of these."""

    machine: Machine
    world: str


async def serving(
    context: Context, services: Sequence[_Service], wanted: Wanted = None
) -> list[Release | None]:
    """The release that each serves."""
    keys = [_key(one.machine, _facts(one).serving) for one in services]
    return await load_releases(context, keys, at_once=wanted is not None)


async def previous(
    context: Context, services: Sequence[_Service], wanted: Wanted = None
) -> list[Release | None]:
    """The release that each served before."""
    keys = [_key(one.machine, _facts(one).previous) for one in services]
    return await load_releases(context, keys, at_once=wanted is not None)


async def resources(
    context: Context, services: Sequence[_Service], wanted: Wanted = None
) -> list[list[Resource]]:
    """Those of each, by name."""
    keys = [[(one.machine.world_id, each) for each in _facts(one).resources] for one in services]
    found = iter(
        await context.loaders.machines.load_many(
            [each for of_one in keys for each in of_one], at_once=wanted is not None
        )
    )
    shown = context.api.memory.shown
    return [
        _resources(shown, islice(found, len(of_one)), one.world)
        for of_one, one in zip(keys, services, strict=True)
    ]


def _resources(shown: Shown, found: Iterator[Machine | None], world: str) -> list[Resource]:
    there = [shown.of(one, lambda one: Resource.of(one, world)) for one in found if one is not None]
    return sorted(there, key=lambda one: one.name) if len(there) > 1 else there


async def deployment(
    context: Context, services: Sequence[_Service], wanted: Wanted = None
) -> list[Deployment | None]:
    """The one that works on each now."""
    turns = [_facts(one).current for one in services]
    keys = [
        (one.machine.world_id, turn.deployment_id)
        for one, turn in zip(services, turns, strict=True)
        if turn is not None
    ]
    found = iter(await context.loaders.machines.load_many(keys, at_once=wanted is not None))
    machines = (None if turn is None else next(found) for turn in turns)
    shown = context.api.memory.shown
    return [None if one is None else shown.of(one, Deployment.of) for one in machines]


async def deployments(
    context: Context,
    services: Sequence[_Service],
    wanted: Wanted = None,
    first: int = 20,
    after: str | None = None,
) -> list[Connection[Deployment]]:
    """A page of those of each, newest first."""
    way = places.moment(after), rows(first, wanted)
    found = await context.loaders.deployments.load_many(
        [((one.machine.world_id, one.machine.id), way) for one in services], at_once=wanted is not None
    )
    return [lists.page(context, one, first, after) for one in found]


def _key(machine: Machine, id_: UUID | None) -> Key | None:
    return None if id_ is None else (machine.world_id, id_)


def _facts(service: _Service) -> ServiceFacts:
    assert isinstance(service.machine.facts, ServiceFacts)
    return service.machine.facts
