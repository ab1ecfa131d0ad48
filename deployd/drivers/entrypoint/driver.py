"""The router of local addresses. It keeps nothing that matters in memory: a new one finds everything."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from deployd.drivers.api import DriverContext, Routed, Router, ServiceRef
from deployd.drivers.entrypoint.client import Client, PortTaken
from deployd.drivers.entrypoint.config import Config, read_config
from deployd.errors import Denied, Retryable

__all__ = ["LocalRouter", "create"]

T = TypeVar("T")
LOCAL = "local"
"""The world whose services need not name it: `hello.localhost`, not `hello.local.localhost`."""
TRY_AGAIN = 5.0
"""Seconds after which a port that was taken is tried again."""

_log = logging.getLogger(__name__)


def create(config: Mapping[str, object], context: DriverContext) -> Router:
    """The entry point. Raises InputError for settings that are wrong."""
    return LocalRouter(read_config(config), context)


class LocalRouter:
    """A Router whose public side is one proxy on 127.0.0.1, a process of its own."""

    def __init__(self, config: Config, context: DriverContext) -> None:
        self.config = config
        self.drain_seconds = config.drain_seconds
        self.client = Client(context.home.absolute())
        self._taken: tuple[float, str] = (0.0, "")

    async def route(self, service: ServiceRef, address: str) -> Routed:
        """The table first, then the proxy, which is started where it is missing."""
        parts = urlsplit(address)
        if parts.scheme != "http" or not self.config.port:
            await self.unroute(service)
            return Routed()
        return await _blocking(lambda: self._route(service, parts.netloc))

    async def unroute(self, service: ServiceRef, why: str | None = None) -> None:
        """A reason is kept in the table, for whoever asks; without one the host is unknown."""
        await _blocking(lambda: self._unroute(service, why))

    def _route(self, service: ServiceRef, target: str) -> Routed:
        name, host = str(service.service_id), host_of(service)
        route = self.client.write(name, service.service, host, target, "", time.time())
        port = self.config.port
        if time.monotonic() < self._taken[0]:
            return Routed(note=self._taken[1])
        try:
            state = self.client.keep(name, port)
        except PortTaken as error:
            note = (
                f"there is no http://{host}:{port}: port {port} of this host cannot be had ({error}); "
                "set DEPLOYD_ENTRYPOINT_PORT to a free one"
            )
            _log.warning("%s", note)
            self._taken = time.monotonic() + TRY_AGAIN, note
            return Routed(note=note)
        draining = sum(count for one, count in state.busy.items() if one != target)
        if time.time() - route.since > self.config.drain_seconds:
            draining = 0
        return Routed(f"http://{host}" + (f":{port}" if port != 80 else ""), draining)

    def _unroute(self, service: ServiceRef, why: str | None) -> None:
        name = str(service.service_id)
        before = self.client.read(name)
        if before is None:
            return
        if why is None or not self.config.port:
            self.client.remove(name)
        elif before.target is not None:
            self.client.write(name, service.service, host_of(service), None, why, time.time())
        self.client.ask(name)  # once it answers, it has taken the table over


def host_of(service: ServiceRef) -> str:
    """The service's local name."""
    world = "" if service.world == LOCAL else f"{service.world.lower()}."
    return f"{service.service}.{world}localhost"


async def _blocking(work: Callable[[], T]) -> T:
    """Run what touches files in a thread, its errors in deployd's words."""

    def translated() -> T:
        try:
            return work()
        except PermissionError as error:
            raise Denied(
                f"deployd may not do this to {error.filename}: {error.strerror}",
                remedy="Let deployd's user own its data folder.",
            ) from error
        except OSError as error:
            raise Retryable(
                f"the local addresses could not be kept: {error}",
                remedy="Look at the host's disk and limits.",
            ) from error

    return await asyncio.to_thread(translated)
