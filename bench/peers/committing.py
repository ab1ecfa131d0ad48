"""Transitions at a steady pace, by deployd's own committer, each told by a hint after its commit.

In a process of its own, beside whoever is measured. `python -m bench.peers.committing DSN RATE SECONDS`
prints one line when it begins, and at its end another: the first and the last `seq` that it wrote. Where a
world is named behind that, they are births of deployments of its first services by name, in turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from uuid import UUID

from deployd.engine.birth import birth
from deployd.engine.bus import Bus
from deployd.engine.committer import Committer
from deployd.model.facts import DeploymentFacts, Source
from deployd.model.identifier import new_id
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store import pages, worlds
from deployd.store.database import Database
from deployd.store.reads import pieces

WORLD = "local"
FIRST = 50
"""Services."""


async def _commit(dsn: str, rate: float, seconds: float, name: str | None) -> None:
    loop = asyncio.get_running_loop()
    async with Database(dsn, size=4) as db:
        world = await worlds.get(db, name or WORLD)
        assert world is not None, "the bench has made it"
        services: list[UUID | None] = [None]
        if name is not None:
            _, stamps = await pages.named(db, [world.world_id], MachineKind.SERVICE, pages.FIRST_NAME, FIRST)
            services = [id_ for (_, id_), _ in pieces(stamps)]
        bus = Bus(db)
        committer = Committer(db, bus.committed)
        running = asyncio.create_task(committer.run())
        facts = DeploymentFacts(
            "bench", datetime.now(UTC), "bench", ServiceSpec("bench"), Source("/nonexistent")
        )
        try:
            async with bus.running():
                before, _ = await worlds.head(db, world.world_id)
                print(json.dumps({"begins": True}), flush=True)
                began = loop.time()
                for number in range(round(rate * seconds)):
                    await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                    # Of a placement that nobody has: nobody acts on it.
                    service = services[number % len(services)]
                    one = birth(
                        world.world_id, new_id(), facts, "bench", service_id=service, placement="nowhere"
                    )
                    await committer.store(births=(one,))
                last, _ = await worlds.head(db, world.world_id)
                await asyncio.sleep(0.05)  # the last hint
        finally:
            committer.stop()
            await running
    print(json.dumps({"first": before + 1, "last": last}), flush=True)


if __name__ == "__main__":
    asyncio.run(
        _commit(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4] if sys.argv[4:] else None)
    )
