"""A process that applies one release when told to, so that it can be killed in the middle.

python -m tests.contract.apply_once DRIVER HOME TREE SERVICE_ID RELEASE_ID NUMBER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from deployd.drivers.api import Deployer, DriverContext, ReleaseSpec, ServiceRef
from deployd.drivers.registry import create
from deployd.model.spec import ServiceSpec


def marked_release(release_id: UUID, number: int, run: str, tree: Path) -> ReleaseSpec:
    """It runs with a mark of its own in its environment, by which its processes are counted."""
    spec = ServiceSpec("cart", run=run, ports={"http": 8080}, env={"MARK": release_id.hex})
    return ReleaseSpec(release_id, number, spec, tree=tree, env=spec.env)


async def main(name: str, home: str, tree: str, service: str, release: str, number: str) -> None:
    driver = create(name, {}, DriverContext(Path(home), "here"))
    assert isinstance(driver, Deployer)
    what = marked_release(UUID(release), int(number), "sleep 600", Path(tree))
    print("ready", flush=True)
    sys.stdin.readline()
    progress = await driver.apply(ServiceRef(7, "local", UUID(service), "cart"), what, alone=True)
    print(type(progress).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
