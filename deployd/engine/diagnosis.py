"""Looking at an installation from within its server: what is well, what is wrong, and what to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deployd.access.policy import Action, require
from deployd.drivers.api import Examines
from deployd.engine.context import Driver
from deployd.errors import DeploydError
from deployd.model.actor import Actor
from deployd.model.finding import Finding, Level
from deployd.store import ageing, examining, worlds
from deployd.store.database import Database
from deployd.store.vault import Vault

__all__ = ["Diagnosis"]

_log = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds for one check
_SOON = timedelta(days=14)

Check = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True)
class Diagnosis:
    """Made once, in the composition root."""

    db: Database
    vault: Vault
    driver: Callable[[str, Mapping[str, object]], Driver]
    """Makes the driver of this name with this configuration. Raises what drivers raise."""

    async def findings(self, actor: Actor | None) -> Sequence[Finding]:
        """Everything, in an order that suits reading. Raises Unauthenticated, Forbidden."""
        who = require(actor, Action.DIAGNOSE, None)
        checks: dict[str, Callable[[], Awaitable[Finding | Sequence[Finding]]]] = {
            "token": lambda: _token(who),
            "database": lambda: examining.version(self.db),
            "durability": lambda: examining.durability(self.db),
            "connections": lambda: examining.connections(self.db),
            "clock": lambda: examining.clock(self.db),
            "schema": lambda: examining.schema(self.db),
            "partitions": lambda: examining.partitions(self.db),
            "vacuum": lambda: examining.held_back(self.db),
            "dead rows": lambda: ageing.dead_rows(self.db),
            "transactions": lambda: ageing.transaction_ids(self.db),
            "maintenance": lambda: ageing.maintenance(self.db),
            "workers": lambda: examining.workers(self.db),
            "secrets": self._secrets,
            "capabilities": self._capabilities,
        }
        found: list[Finding] = []
        for name, check in checks.items():
            found += await guarded(name, check)
        return found

    async def _secrets(self) -> Finding:
        try:
            await self.vault.check()
        except DeploydError as error:
            return Finding("secrets", Level.WRONG, error.message, error.remedy)
        return Finding("secrets", Level.OK, "what is kept encrypted opens with this server's key")

    async def _capabilities(self) -> Sequence[Finding]:
        """Each driver that a world needs can be made, and says how its part of the host does."""
        made: dict[int, Driver] = {}
        found: list[Finding] = []
        number = 0
        for world in await worlds.list_all(self.db):
            if world.retired_at is not None:
                continue
            for name, capability in world.capabilities.items():
                number += 1
                try:
                    driver = self.driver(capability.driver, capability.config)
                except DeploydError as error:
                    said = f"world {world.name}: {name} ({capability.driver}) cannot be made: {error.message}"
                    found.append(Finding("capabilities", Level.WRONG, said, error.remedy, error.evidence))
                else:
                    made[id(driver)] = driver
        if not found:
            found = [
                Finding("capabilities", Level.OK, f"the drivers of all capabilities are there ({number})")
            ]
        services = await examining.living_services(self.db)
        for driver in made.values():
            if isinstance(driver, Examines):
                found += await guarded("driver", lambda one=driver: one.examine(services))  # type: ignore[misc]
        return found


async def _token(actor: Actor) -> Finding:
    """What the caller's own token is good for."""
    said = f"{actor.name} is {actor.role}"
    if actor.expires_at is not None and actor.expires_at - datetime.now(UTC) < _SOON:
        return Finding(
            "token",
            Level.WARNING,
            f"{said}, until {actor.expires_at:%Y-%m-%d %H:%M} UTC",
            "Ask for a new one in time.",
        )
    until = "" if actor.expires_at is None else f", until {actor.expires_at:%Y-%m-%d}"
    return Finding("token", Level.OK, f"{said}{until}")


async def guarded(
    name: str, check: Callable[[], Awaitable[Finding | Sequence[Finding]]]
) -> Sequence[Finding]:
    """What a check finds; that it could not look is a finding as well."""
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await check()
    except DeploydError as error:
        return [Finding(name, Level.WRONG, error.message, error.remedy, error.evidence)]
    except TimeoutError:
        return [
            Finding(name, Level.WRONG, f"no answer within {_PATIENCE:g} s", "Look into the server's log.")
        ]
    except Exception as error:
        _log.exception("doctor: %s", name)
        said = f"this could not be looked at: {type(error).__name__}"
        return [Finding(name, Level.WRONG, said, "Look into the server's log.")]
    return [found] if isinstance(found, Finding) else found
