"""What acts may use: the store, the drivers behind a lease, and the sources."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from deployd.drivers.api import (
    Builds,
    Deployer,
    Provisioner,
    Replaces,
    Router,
    ServiceRef,
    Suspends,
    Tasks,
)
from deployd.engine.calling import observed
from deployd.errors import NotFound, Unsupported
from deployd.model.spec import ServiceSpec
from deployd.model.world import World
from deployd.sources.trees import Trees
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.vault import Vault
from deployd.telemetry.tracing import Tracer

__all__ = ["ENTRYPOINT", "Context", "Driver"]

Driver = Deployer | Provisioner | Router
D = TypeVar("D", bound=object)
Check = Callable[[], None]
ENTRYPOINT = "entrypoint"
"""The capability that gives a world's services their public addresses."""
_WORLDS_FRESH = 1.0
"""Seconds for which what was read of worlds is believed, unless a claim saw a newer version."""


@dataclass
class Context:
    """One for each worker. `check` raises LeaseLost when the worker may no longer act: it is asked right
    before each call of a driver.
    """

    db: Database
    trees: Trees
    placement: str
    driver: Callable[[str, Mapping[str, object]], Driver]
    """Makes the driver of this name with this configuration, once. Raises Unsupported, Terminal."""
    vault: Vault
    check: Check = lambda: None
    tracer: Tracer | None = None
    """Where calls of drivers are told."""
    specs: dict[UUID, ServiceSpec] = field(default_factory=dict)
    """Of releases, which never change, by their ids: for whoever looks at them again and again."""
    _worlds: dict[int, World] = field(default_factory=dict)
    _versions: dict[int, int] = field(default_factory=dict)
    """The newest of each world that a claim saw."""
    _read_at: float = float("-inf")
    """When the last look at them began."""
    _looking: asyncio.Task[None] | None = None

    async def world(self, world_id: int) -> World:
        """The world of this id: as it was within the last second, and when the machine that asks was claimed.

        So whoever changes a world and then deploys is planned and deployed with the change. Raises NotFound.
        """
        asked = time.monotonic()
        while True:
            known = self._worlds.get(world_id)
            is_fresh = self._read_at > asked - _WORLDS_FRESH
            if known is not None and is_fresh and known.version >= self._versions.get(world_id, 0):
                return known
            if self._read_at >= asked:
                if known is None:
                    raise NotFound(f"there is no world {world_id}")
                asked = time.monotonic()  # while it was read, a claim saw a newer one
            await self._look()

    async def _look(self) -> None:
        """One look for all who wait for one: thousands of machines may, at the same moment."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._read())
            self._looking.add_done_callback(_retrieved)
        await asyncio.shield(self._looking)

    async def _read(self) -> None:
        begun = time.monotonic()
        try:
            found = await worlds.list_all(self.db, self._worlds)
        finally:
            self._looking = None
        self._worlds, self._read_at = {world.world_id: world for world in found}, begun

    def claimed(self, world_id: int, version: int) -> None:
        """A machine of a world of this version was claimed: what was read of an older one is not believed."""
        if version > self._versions.get(world_id, 0):
            self._versions[world_id] = version

    async def service_ref(self, world_id: int, service_id: UUID, name: str) -> ServiceRef:
        """How drivers are told which service is meant."""
        return ServiceRef(world_id, (await self.world(world_id)).name, service_id, name)

    async def deployer(self, world_id: int, capability: str) -> Deployer:
        """The deployer behind a world's capability. Raises Unsupported, with what the world can do."""
        driver = await self.driver_of(world_id, capability)
        if not isinstance(driver, Deployer):
            raise Unsupported(f"capability {capability!r} cannot deploy services")
        return await self._observed(driver, world_id, capability)

    async def provisioner(self, world_id: int, capability: str) -> Provisioner:
        """The provisioner behind a world's capability. Raises Unsupported."""
        driver = await self.driver_of(world_id, capability)
        if not isinstance(driver, Provisioner):
            raise Unsupported(f"capability {capability!r} cannot provision resources")
        return await self._observed(driver, world_id, capability)

    async def suspends(self, world_id: int, capability: str) -> Suspends | None:
        """The same, where it can stop what runs for a resource and keep its data; else None."""
        driver = await self.driver_of(world_id, capability)
        if not isinstance(driver, Suspends):
            return None
        return await self._observed(driver, world_id, capability)

    async def replaces(self, world_id: int, capability: str) -> Replaces | None:
        """The same, where it cannot change everything in place; else None. Without a lease: only reads."""
        driver = await self.driver_of(world_id, capability)
        return await self._observed(driver, world_id, capability) if isinstance(driver, Replaces) else None

    async def router(self, world_id: int) -> Router | None:
        """What gives the world's services their public addresses; None where nothing does."""
        if ENTRYPOINT not in (await self.world(world_id)).capabilities:
            return None
        driver = await self.driver_of(world_id, ENTRYPOINT)
        if not isinstance(driver, Router):
            raise Unsupported(f"capability {ENTRYPOINT!r} cannot route requests")
        return await self._observed(driver, world_id, ENTRYPOINT)

    async def driver_of(self, world_id: int, name: str) -> Driver:
        """The driver behind a capability, without a lease: only for reading. Raises Unsupported."""
        world = await self.world(world_id)
        capability = world.capabilities.get(name)
        if capability is None:
            there = ", ".join(f"{key} ({one.driver})" for key, one in world.capabilities.items()) or "nothing"
            raise Unsupported(f"world {world.name!r} has no capability {name!r}", remedy=f"It has: {there}.")
        return self.driver(capability.driver, capability.config)

    async def tasks(self, world_id: int, capability: str) -> Tasks:
        """What runs commands once behind a world's capability. Raises Unsupported."""
        driver = await self.driver_of(world_id, capability)
        if not isinstance(driver, Tasks):
            raise Unsupported(f"capability {capability!r} cannot run commands once")
        return await self._observed(driver, world_id, capability)

    async def builds(self, world_id: int, capability: str) -> Builds | None:
        """What makes something of a release's files before it runs, if it has to."""
        driver = await self.driver_of(world_id, capability)
        if not isinstance(driver, Builds):
            return None
        return await self._observed(driver, world_id, capability)

    async def _observed(self, driver: D, world_id: int, capability: str) -> D:
        name = (await self.world(world_id)).capabilities[capability].driver
        return observed(driver, name, self.tracer, self.check)

    async def tree(self, tree: str) -> Path:
        """The folder with exactly this tree."""
        return await self.trees.checkout(tree)


def _retrieved(look: asyncio.Task[None]) -> None:
    """Whoever waited may be gone by now; then nobody hears how it failed."""
    if not look.cancelled():
        look.exception()
