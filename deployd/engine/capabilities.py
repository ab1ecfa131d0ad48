"""What a world shall be able to do: checked before it is so, and kept while somebody uses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from deployd.drivers.api import Deployer, Provisioner, Router
from deployd.engine.context import ENTRYPOINT, Driver
from deployd.errors import Conflict, DriverError, InputError, Unsupported
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.sensitive import restored
from deployd.model.state import MachineKind
from deployd.model.world import Capability, World
from deployd.store import machines
from deployd.store.database import Database

__all__ = ["MakeDriver", "check_capabilities", "check_uses"]

MakeDriver = Callable[[str, Mapping[str, object]], Driver]
"""The driver of this name with this configuration. Raises NotFound, Terminal, InputError."""
MOST = 10_000
"""That a capability may be limited to."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def check_capabilities(
    wanted: Mapping[str, Capability], there: Mapping[str, Capability], make: MakeDriver
) -> dict[str, Capability]:
    """The capabilities, with what is hidden in their configuration as it is `there`.

    Raises InputError with its path for a wrong name, an unknown driver, a configuration that it refuses.
    """
    checked: dict[str, Capability] = {}
    for at, (name, one) in enumerate(wanted.items()):
        here = "capabilities", str(at)
        if not _NAME.fullmatch(name):
            raise _at(
                InputError(
                    f"{name[:80]!r} is no name for a capability",
                    remedy="Take up to 63 lower-case letters, digits and inner hyphens; the first"
                    " one a letter.",
                ),
                *here,
                "name",
            )
        before = there.get(name)
        try:
            config = restored(one.config, {} if before is None else before.config)
            assert isinstance(config, Mapping)
            driver = make(one.driver, config)
        except DriverError as error:  # a library is not installed: nothing of the request is wrong but this
            refused = Unsupported(error.message, remedy=error.remedy, evidence=error.evidence)
            raise _at(refused, *here, "driver") from error
        except InputError as error:
            raise _at(error, *here, "driver" if error.code == "NOT_FOUND" else "config") from error
        if name == ENTRYPOINT and not isinstance(driver, Router):
            raise _at(
                InputError(
                    f"{one.driver} routes nothing, and `{ENTRYPOINT}` is what routes",
                    remedy="Give the capability another name, or take a driver that routes.",
                ),
                *here,
                "driver",
            )
        if not isinstance(driver, Deployer | Provisioner | Router):
            raise _at(InputError(f"{one.driver} makes nothing that a world can have"), *here, "driver")
        if one.limit is not None and not 1 <= one.limit <= MOST:
            raise _at(
                InputError(
                    f"capability {name}: {one.limit} is no limit",
                    remedy=f"Take a whole number from 1 to {MOST}, or leave it out.",
                ),
                *here,
                "limit",
            )
        checked[name] = Capability(one.driver, config, one.approval, one.limit)
    return checked


async def check_uses(db: Database, world: World, wanted: Mapping[str, Capability]) -> None:
    """What is in use stays, by its driver. Raises Conflict with the names of those who use it."""
    gone = [
        name
        for name, one in world.capabilities.items()
        if name not in wanted or wanted[name].driver != one.driver
    ]
    if not gone:
        return
    living = [
        *await machines.list_kind(db, world.world_id, MachineKind.SERVICE),
        *await machines.list_kind(db, world.world_id, MachineKind.RESOURCE),
    ]
    for name in gone:
        users = _users(living, name)
        if users:
            how = "would be another driver's" if name in wanted else "would go"
            error = Conflict(
                f"capability {name} of world {world.name} {how}, but is in use by {', '.join(users)}",
                remedy=f"Keep `{name}` with the driver {world.capabilities[name].driver}, or retire"
                f" those first.",
            )
            raise _at(error, "capabilities")


def _users(living: Sequence[Machine], capability: str) -> list[str]:
    """Names of services, and of resources, that have something by this capability."""
    found: list[str] = []
    for one in living:
        facts = one.facts
        if isinstance(facts, ServiceFacts):
            routed = capability == ENTRYPOINT and bool(facts.url or facts.urls)
            if facts.capability == capability or routed:
                found.append(facts.name)
        elif isinstance(facts, ResourceFacts) and facts.capability == capability:
            found.append(facts.name)
    return found


def _at(error: InputError, *path: str) -> InputError:
    error.path = path
    return error
