"""What can be asked about worlds: made, changed, told who may come in, ended."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deployd.access.policy import Action, require
from deployd.engine.birth import birth
from deployd.engine.capabilities import MakeDriver, check_capabilities, check_uses
from deployd.engine.operations import Operations
from deployd.engine.requesting import request_id
from deployd.errors import Conflict, InputError
from deployd.model.actor import Actor
from deployd.model.facts import ChangeFacts, Source
from deployd.model.machine import Machine
from deployd.model.world import SYSTEM, Capability, Gate, World
from deployd.store import machines, worlds
from deployd.store.codec import encode

__all__ = ["Worlds"]

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Worlds:
    """Made once, in the composition root."""

    operations: Operations
    make: MakeDriver
    """To see whether a driver can be made of a configuration."""

    async def create(
        self,
        actor: Actor | None,
        name: str,
        like: str | None = None,
        *,
        ephemeral: bool,
        capabilities: Mapping[str, Capability] | None = None,
        gates: Mapping[str, Gate] = MappingProxyType({}),
    ) -> World:
        """A new world with these capabilities, or else those of the world `like` (`local` unless said).

        One of this name must not live. Raises InputError, Conflict, NotFound, Unauthenticated, Forbidden.
        """
        require(actor, Action.CREATE_WORLD, name)
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name[:80]!r} is no name for a world",
                remedy="Take up to 63 lower-case letters, digits and inner hyphens; the first one a letter.",
            )
        if like is not None and capabilities is not None:
            raise InputError("capabilities, and a world to be like", remedy="Say one of the two.")
        if capabilities is None:
            wanted = (await self.operations.world(actor, like or "local")).capabilities
        else:
            wanted = check_capabilities(capabilities, {}, self.make)
        _check_gates(gates)
        db = self.operations.db
        there = await worlds.get(db, name)
        if there is not None and there.retired_at is None:
            raise Conflict(f"there is a world {name!r} already", remedy="Take another name, or use that one.")
        await worlds.add(db, name, wanted, ephemeral=ephemeral, gates=gates)
        return await self.operations.world(actor, name)

    async def set_gates(self, actor: Actor | None, world: str, gates: Mapping[str, Gate]) -> World:
        """The world's gates are these from now on.

        Raises InputError, NotFound, Unauthenticated, Forbidden.
        """
        require(actor, Action.SET_GATES, world)
        place = await self.operations.world(actor, world)
        for name, gate in gates.items():
            _check_gate(name, gate)
        await worlds.set_gates(self.operations.db, place.world_id, gates)
        return await self.operations.world(actor, world)

    async def update(
        self,
        actor: Actor | None,
        name: str,
        *,
        capabilities: Mapping[str, Capability] | None = None,
        gates: Mapping[str, Gate] | None = None,
        version: int | None = None,
    ) -> World:
        """The world has all these capabilities and gates from now on; None: as before.

        Whoever reads the world anew works with them. A capability in use stays, by its driver.
        Raises Conflict where it is not `version` any more; InputError, NotFound, Unauthenticated, Forbidden.
        """
        require(actor, Action.UPDATE_WORLD, name)
        place = await self.operations.world(actor, name)
        if place.name == SYSTEM or place.retired_at is not None:
            why = "is retired" if place.retired_at is not None else "is deployd's own and can do nothing"
            raise Conflict(f"world {name!r} {why}", remedy="Name another one.")
        changed = Conflict(
            f"world {name!r} was changed by somebody else meanwhile",
            remedy="Look at it again, and ask again for what you want changed.",
        )
        changed.path = ("expectedVersion",)
        if version is not None and version != place.version:
            raise changed
        wanted = place.capabilities
        if capabilities is not None:
            wanted = check_capabilities(capabilities, place.capabilities, self.make)
            await check_uses(self.operations.db, place, wanted)
        if gates is not None:
            _check_gates(gates)
        doors = place.gates if gates is None else gates
        if (wanted, doors) != (place.capabilities, place.gates) and not await worlds.update(
            self.operations.db, place, wanted, doors
        ):
            raise changed
        return await self.operations.world(actor, name)

    async def retire(self, actor: Actor | None, world: str) -> Machine:
        """End a world for good; the change that does it.

        Raises Conflict, NotFound, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.RETIRE_WORLD, world)
        place = await self.operations.world(actor, world)
        if place.name in (SYSTEM, "local"):
            raise Conflict(f"world {place.name!r} is deployd's own and stays")
        digest = hashlib.sha256(encode(["retire", str(place.uid)]).encode()).hexdigest()
        facts = ChangeFacts(Source(), digest, who.name, purpose="retire")
        made = birth(place.world_id, request_id(), facts, who.name)
        await self.operations.commit.store(births=(made,))
        change = await machines.get(self.operations.db, place.world_id, made.id)
        assert change is not None
        return change


def _check_gates(gates: Mapping[str, Gate]) -> None:
    """Raises InputError with its path."""
    for at, (name, gate) in enumerate(gates.items()):
        try:
            _check_gate(name, gate)
        except InputError as error:
            error.path = ("gates", str(at))
            raise


def _check_gate(name: str, gate: Gate) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:80]!r} is no name for a gate", remedy="Take lower-case letters and hyphens."
        )
    for network in gate.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise InputError(
                f"gate {name}: {network[:80]!r} is no network: {error}",
                remedy="Write it such as 203.0.113.0/24 or 2001:db8::/32; 0.0.0.0/0 and ::/0 are everybody.",
            ) from error
    for port in gate.ports:
        if not 1 <= port <= 65_535:
            raise InputError(f"gate {name}: {port} is no port", remedy="Take numbers from 1 to 65535.")
