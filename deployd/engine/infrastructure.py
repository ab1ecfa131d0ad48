"""What can be asked about resources: looked at, made, changed and adopted by hand, deleted by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deployd.access.policy import Action, require
from deployd.catalog import Offered, offered
from deployd.drivers.api import Replaces, ResourceSpec
from deployd.engine.birth import birth
from deployd.engine.context import Driver
from deployd.engine.operations import Operations
from deployd.engine.parameters import typed
from deployd.errors import Conflict, InputError, NotFound, Unsupported
from deployd.manifest.term import SHARED_NAME
from deployd.model.actor import Actor
from deployd.model.definition import Value
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.state import MachineKind, Ownership, ResourceState
from deployd.model.world import World
from deployd.store import machines
from deployd.store.commit import Post

__all__ = ["Infrastructure", "is_name"]


def is_name(name: str) -> bool:
    """Whether a resource that stands by itself may be called so: as `shared:` of a manifest may name it."""
    return re.fullmatch(SHARED_NAME.pattern, name) is not None


@dataclass(frozen=True)
class Infrastructure:
    """Made once, in the composition root."""

    operations: Operations
    driver: Callable[[str, Mapping[str, object]], Driver]
    """Makes the driver of this name with this configuration. Raises what drivers raise."""

    async def resource(self, actor: Actor | None, world: str, name: str) -> Machine:
        """The living resource of this name. Raises NotFound with the nearest one."""
        require(actor, Action.VIEW, world)
        place = await self.operations.world(actor, world)
        db = self.operations.db
        found = await machines.get_named(db, place.world_id, MachineKind.RESOURCE, name)
        if found is None:
            names = [str(one.name) for one in await self._all(place.world_id)]
            near = difflib.get_close_matches(name, names, n=1)
            there = f"There are: {', '.join(names)}." if names else "There is none yet."
            raise NotFound(
                f"world {world!r} has no resource {name!r}",
                remedy=f"Did you mean {near[0]!r}?" if near else there,
            )
        return found

    async def create(
        self, actor: Actor | None, world: str, name: str, slug: str, params: Iterable[tuple[str, str]] = ()
    ) -> Machine:
        """Make a resource that stands by itself: manifests find it by `shared:`. Asked again, it is there.

        Raises NotFound, Unsupported, InputError, Conflict, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.CREATE_RESOURCE, world)
        place = await self.operations.world(actor, world)
        if place.retired_at is not None:
            raise Conflict(f"world {world!r} is retired", remedy="Name another one.")
        if not is_name(name):
            raise InputError(
                f"{name[:64]!r} is no name of a resource",
                remedy=f"Would be {SHARED_NAME.what}, as `shared:` in a manifest has it.",
            )
        offer = _offered(place, slug)
        wanted = typed(offer.definition, params)
        defaults = {key: one.default for key, one in offer.definition.params.items()}
        facts = ResourceFacts(
            name=name,
            type=offer.definition.type,
            capability=offer.capability,
            slug=slug,
            settings={**defaults, **wanted, **offer.definition.settings},
            standing=True,
        )
        db, kind = self.operations.db, MachineKind.RESOURCE
        there = await machines.get_named(db, place.world_id, kind, name)
        if there is None:
            ended = await machines.count_ended(db, place.world_id, kind, name)
            made = birth(
                place.world_id,
                derived_id(place.uid, kind, name, ended),
                facts,
                who.name,
                name=name,
                placement=self.operations.placement,
            )
            await self.operations.commit.store(births=(made,))
            there = await self.resource(actor, world, name)  # or what somebody else made meanwhile
        assert isinstance(there.facts, ResourceFacts)
        same = there.facts.standing and there.facts.slug == slug and there.facts.settings == facts.settings
        if not same or there.state == ResourceState.DELETING:
            raise Conflict(
                f"world {world!r} has a resource {name!r} already, a `{there.facts.slug}`",
                remedy=f"Take another name, or see that one: deployd resource show {name}",
            )
        return there

    async def update(
        self, actor: Actor | None, world: str, name: str, params: Iterable[tuple[str, str]]
    ) -> Machine:
        """Change parameters of a resource that stands by itself, in place; it as it was just before.

        What would cost its data is refused. Raises NotFound, InputError, Conflict,
        Unauthenticated, Forbidden.
        """
        who = require(actor, Action.UPDATE_RESOURCE, world)
        found = await self.resource(actor, world, name)
        place = await self.operations.world(actor, world)
        facts = _facts(found)
        if not facts.standing:
            orphan = facts.ownership is Ownership.ORPHANED
            raise Conflict(
                f"resource {name} does not stand by itself: its parameters are its manifest's",
                remedy=f"Adopt it first: deployd resource adopt {name}"
                if orphan
                else f"Change `params:` in deployd.yaml of {await self._users(found)}, and deploy.",
            )
        if found.state == ResourceState.DELETING:
            raise Conflict(f"resource {name} is being deleted", remedy="Create it anew once it is gone.")
        definition = _offered(place, facts.slug).definition
        wanted = typed(definition, params)
        if not wanted:
            raise InputError("no parameter is given", remedy="Give at least one.")
        await self._keeps_data(place, found, wanted)
        post = Post(found.world_id, found.id, "update", who.name, {"params": wanted})
        await self.operations.commit.store(posts=(post,))
        return found

    async def adopt(self, actor: Actor | None, world: str, name: str) -> Machine:
        """Look after an orphan again though no service has it; it as it was just before.

        It stands by itself from then on. Raises NotFound, Conflict, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.ADOPT_RESOURCE, world)
        found = await self.resource(actor, world, name)
        facts = _facts(found)
        if facts.ownership is not Ownership.ORPHANED:
            how = "stands by itself" if facts.standing else f"is in use by {await self._users(found)}"
            raise Conflict(f"resource {name} is no orphan: it {how}", remedy="There is nothing to adopt.")
        if found.state == ResourceState.DELETING:
            raise Conflict(f"resource {name} is being deleted", remedy="Create it anew once it is gone.")
        await self.operations.commit.store(posts=(Post(found.world_id, found.id, "adopt", who.name),))
        return found

    async def _keeps_data(self, place: World, found: Machine, wanted: Mapping[str, Value]) -> None:
        """Raises Conflict for a change that would cost the resource its data."""
        facts = _facts(found)
        capability = place.capabilities[facts.capability]
        driver = self.driver(capability.driver, capability.config)
        if not isinstance(driver, Replaces):
            return
        spec = ResourceSpec(
            place.world_id, place.name, found.id, facts.name, facts.type, dict(facts.settings)
        )
        if lost := await driver.replaced_by(spec, {**facts.settings, **wanted}):
            raise Conflict(
                f"resource {facts.name}: another {', '.join(lost)} would replace it, without its data",
                remedy="Create another one beside it; or, if its data may go, delete it by its name (deployd "
                f"resource delete {facts.name}) and create it anew.",
            )

    async def _users(self, found: Machine) -> str:
        users = await machines.list_many(self.operations.db, found.world_id, _facts(found).users)
        names = sorted(one.facts.name for one in users if isinstance(one.facts, ServiceFacts))
        return ", ".join(names) or "its service"

    async def delete(self, actor: Actor | None, world: str, name: str) -> Machine:
        """Delete it with its data: only what no service has any more; the resource as it was just before.

        Raises Conflict, NotFound, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.DELETE_RESOURCE, world)
        found = await self.resource(actor, world, name)
        assert isinstance(found.facts, ResourceFacts)
        users = await machines.list_many(self.operations.db, found.world_id, found.facts.users)
        if users:
            names = ", ".join(one.facts.name for one in users if isinstance(one.facts, ServiceFacts))
            raise Conflict(
                f"resource {name} is in use by {names}",
                remedy="Take it out of the manifest and deploy, or retire the service; then delete it.",
            )
        await self.operations.commit.store(posts=(Post(found.world_id, found.id, "delete", who.name),))
        return found

    async def _all(self, world_id: int) -> list[Machine]:
        return await machines.list_kind(self.operations.db, world_id, MachineKind.RESOURCE)


def _facts(machine: Machine) -> ResourceFacts:
    assert isinstance(machine.facts, ResourceFacts)
    return machine.facts


def _offered(place: World, slug: str) -> Offered:
    """What the world makes of a slug. Raises Unsupported with the nearest one."""
    there = offered(place.capabilities)
    if slug in there:
        return there[slug]
    near = difflib.get_close_matches(slug, list(there), n=1)
    raise Unsupported(
        f"world {place.name!r} cannot make {slug[:64]!r}",
        remedy=f"Did you mean {near[0]!r}?" if near else f"It can make: {', '.join(there) or 'nothing'}.",
    )
