"""Somebody who follows a world through GraphQL, is cut off again and again, and reads on by cursor."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import aiohttp

from tests.integration.web.server import Served

__all__ = ["Subscriber"]

_FOLLOW = """subscription ($world: String!, $after: Cursor) { transitions(world: $world, after: $after) {
    __typename ... on TransitionBatch { cursor transitions { seq machineId toState } } } }"""


@dataclass
class Subscriber:
    """What it received, in the order in which it came."""

    served: Served
    world: str
    cursor: str
    chance: random.Random
    seen: list[tuple[int, str, str]] = field(default_factory=list)
    connections: int = 0
    trouble: str = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self.chance.uniform(0.5, 4.0)):
                    await self._follow()
            except (TimeoutError, aiohttp.ClientError, OSError, AssertionError) as error:
                self.trouble = repr(error)
                await asyncio.sleep(0.05)

    async def _follow(self) -> None:
        self.connections += 1
        async with self.served.connect() as ws:
            await ws.init()
            await ws.subscribe(_FOLLOW, {"world": self.world, "after": self.cursor})
            while True:
                message = await ws.receive()
                if message["type"] != "next" or "errors" in message["payload"]:
                    raise ConnectionError(f"{message}")  # no database: come back, and read on
                batch = message["payload"]["data"]["transitions"]
                self.seen += [(one["seq"], one["machineId"], one["toState"]) for one in batch["transitions"]]
                self.cursor = batch["cursor"]
