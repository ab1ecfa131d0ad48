"""A process that makes one call of a provisioner when told to, so that it can be killed in the middle.

python -m tests.contract.provision_once DRIVER HOME VERB RESOURCE_ID NAME PASSWORD
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from deployd.drivers.api import DriverContext, Progress, Provisioner, ResourceSpec, Suspends
from deployd.drivers.registry import create


def the_resource(resource_id: UUID, name: str, password: str) -> ResourceSpec:
    return ResourceSpec(7, "local", resource_id, name, "postgres", {}, password)


async def main(name: str, home: str, verb: str, resource_id: str, resource: str, password: str) -> None:
    driver = create(name, {}, DriverContext(Path(home), "here"))
    assert isinstance(driver, Provisioner)
    what = the_resource(UUID(resource_id), resource, password)
    print("ready", flush=True)
    sys.stdin.readline()
    progress: Progress
    if verb == "suspend":
        assert isinstance(driver, Suspends)
        progress = await driver.suspend(what)
    elif verb == "destroy":
        progress = await driver.destroy(what)
    else:
        progress = await driver.apply(what)
    print(type(progress).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
