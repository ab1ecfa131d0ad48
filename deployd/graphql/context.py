"""What resolvers may use: the API's parts, made once, and the context of one request or connection."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Self, TypeAlias, TypeVar

import strawberry

from deployd.access.policy import Action, require
from deployd.drivers.api import Deployer
from deployd.engine.access import Access
from deployd.engine.auditing import Auditing
from deployd.engine.bus import Bus
from deployd.engine.capabilities import MakeDriver
from deployd.engine.diagnosis import Diagnosis
from deployd.engine.infrastructure import Infrastructure
from deployd.engine.maintaining import Maintaining
from deployd.engine.operations import Operations
from deployd.engine.restraint import Restraint
from deployd.engine.scaling import Scaling
from deployd.engine.secrets import Secrets
from deployd.engine.worlds import Worlds
from deployd.graphql.kept import Memory
from deployd.graphql.leg import Leg
from deployd.graphql.loaders import Loaders
from deployd.graphql.sharing import scope
from deployd.model.actor import Actor
from deployd.store.database import Database

__all__ = ["Api", "Context", "Info", "Reauthenticate"]

V = TypeVar("V")

Reauthenticate = Callable[[], Awaitable[Actor | None]]
"""Who the caller is now. Raises Unauthenticated once its token does not count any more."""

RECHECK = 30.0  # seconds that a subscription may go on without asking again whether it may


@dataclass(frozen=True)
class Api:
    """Made once, in the composition root."""

    operations: Operations
    db: Database
    bus: Bus
    deployer: Callable[[int, str], Awaitable[Deployer]]
    """The deployer behind a world's capability. Raises Unsupported."""
    secrets: Secrets
    access: Access
    auditing: Auditing
    driver: MakeDriver
    """The driver behind a configuration, one for each."""
    maintaining: Maintaining
    memory: Memory = field(default_factory=Memory)
    """What was looked at last."""

    @property
    def worlds(self) -> Worlds:
        """What can be asked about worlds."""
        return Worlds(self.operations, self.driver)

    @property
    def diagnosis(self) -> Diagnosis:
        """What can be found out about the installation."""
        return Diagnosis(self.db, self.secrets.vault, self.driver)

    @property
    def restraint(self) -> Restraint:
        """What can be asked about holds."""
        return Restraint(self.operations)

    @property
    def scaling(self) -> Scaling:
        """What can be asked about copies."""
        return Scaling(self.operations, self.deployer)

    @property
    def infrastructure(self) -> Infrastructure:
        """What can be asked about resources."""
        return Infrastructure(self.operations, self.driver)


class Context:
    """One for each HTTP request, and one for each websocket."""

    def __init__(self, api: Api, actor: Actor | None, reauthenticate: Reauthenticate | None = None) -> None:
        self.api = api
        self.actor = actor
        self.reauthenticate = reauthenticate
        self._loaders: Loaders | None = None
        self.connection_params: dict[str, object] | None = None
        """The payload of a websocket's `connection_init`."""
        self.leg: Leg | None = None
        """Of a subscription that is told by several executions: which of them this is for."""

    @property
    def loaders(self) -> Loaders:
        """Made by whoever needs them first: a connection that only listens does without."""
        self._loaders = self._loaders or Loaders(self.api.db, self.api.memory)
        return self._loaders

    @property
    def operations(self) -> Operations:
        """What can be asked."""
        return self.api.operations

    def briefly(self) -> Self:
        """The same caller, for one answer that changes nothing."""
        part = copy.copy(self)
        part._loaders = Loaders(self.api.db, self.api.memory, brief=True)  # noqa: SLF001 - of the same class
        return part

    async def settled(
        self, asked: Hashable, world_ids: tuple[int, ...], answer: Callable[[], Awaitable[V]]
    ) -> V:
        """What `answer` comes to; or came to the last time, for somebody who may see the same, where nothing
        of these worlds was written since. Nobody changes it.
        """
        if self.actor is None:
            return await answer()
        return await self.loaders.settled((asked, scope(self.actor)), world_ids, answer)

    def on(self, leg: Leg) -> Self:
        """The same caller, for one execution of several."""
        part = copy.copy(self)
        part.leg = leg
        return part

    def watch_permission(self, world: str) -> Callable[[], Awaitable[None]]:
        """A check for loops that live long: whether who calls may look at this world.

        It looks anew at who that is when a token was revoked, and every 30 seconds; it raises
        Unauthenticated or Forbidden once the caller may not look any more.
        """
        if self.leg is not None and self.leg.permission is not None:
            return self.leg.permission
        bus = self.api.bus
        checked, revocations = asyncio.get_running_loop().time(), bus.revocations
        if self.leg is not None and self.leg.start is not None:
            checked = float("-inf")  # it may be here since its token does not count any more

        async def check() -> None:
            nonlocal checked, revocations
            now = asyncio.get_running_loop().time()
            due = now - checked >= RECHECK or revocations != bus.revocations
            if due and self.reauthenticate is not None:
                checked, revocations = now, bus.revocations  # before the question: one meanwhile asks again
                self.actor = await self.reauthenticate()
            require(self.actor, Action.VIEW, world)

        return check


Info: TypeAlias = strawberry.Info[Context, None]
