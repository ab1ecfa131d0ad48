"""What drivers notice by themselves, as mail that wakes the services concerned."""

from __future__ import annotations

import logging

from deployd.drivers.api import Watch
from deployd.engine.committer import Commit
from deployd.engine.holding import WAKE
from deployd.errors import DeploydError
from deployd.store.commit import Post

__all__ = ["hear"]

_log = logging.getLogger(__name__)


async def hear(driver: Watch, commit: Commit) -> None:
    """For ever: each hint of the driver wakes a service. A hint that is lost costs a re-check's delay."""
    async for world_id, service_id in driver.watch():
        try:
            await commit.store(posts=(Post(world_id, service_id, WAKE, "driver"),))
        except DeploydError as error:
            _log.warning("a hint was lost: %s", error)
