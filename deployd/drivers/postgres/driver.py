"""The provisioner of databases on this host. It keeps nothing in memory: a new one finds all in its home.

Each world has a server of its own, which outlives deployd. It runs while any of the world's resources is in
use, and goes with the last of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from deployd.drivers.api import Done, DriverContext, Failed, Progress, Provisioner, ResourceSpec, Wait
from deployd.drivers.postgres.client import Client, NotYet
from deployd.drivers.postgres.config import Config, read_config, read_connections
from deployd.drivers.postgres.folder import Folder
from deployd.drivers.postgres.naming import name_of, outputs_of, tag_of
from deployd.drivers.postgres.server import Running, Server, in_thread, port_taken
from deployd.drivers.postgres.statements import Wanted
from deployd.errors import Denied, InputError, PostgresUnavailable, Retryable, Terminal
from deployd.model.reason import Reason
from deployd.model.state import Health

__all__ = ["LocalPostgres", "create"]

STARTING = 2.0
"""Seconds for which one call waits for a server that starts."""
PAUSE = 0.03
AGAIN = 0.3
"""Seconds after which to ask again, about what moves by itself."""
NO_PORT = "could not create any TCP/IP sockets"
"""What a server says, in the locale C, whose port somebody took in the moment before."""


def create(config: Mapping[str, object], context: DriverContext) -> Provisioner:
    """The entry point. Raises InputError for settings that are wrong."""
    return LocalPostgres(read_config(config), context)


class LocalPostgres:
    """A Provisioner, and Suspends, of type `postgres`."""

    def __init__(self, config: Config, context: DriverContext) -> None:
        self.config = config
        self._home = context.home.resolve()  # processes are known by it, so it has one spelling

    async def apply(self, resource: ResourceSpec) -> Progress:
        """The world's server runs, and has this database and its role."""
        try:
            wanted = _wanted(resource)
        except InputError as error:
            return Failed(Reason("INVALID_SETTINGS", error.message, remedy=error.remedy))
        server = self._server(resource)
        with _translated(resource.world):
            async with server.folder.locked() as lock:
                if lock is None:
                    return _busy()
                if (ending := await self._discard(server)) is not None:
                    return ending
                await in_thread(lambda: server.folder.keep(resource.resource_id, in_use=True))
                found = await self._serving(server, lock)
            if not isinstance(found, Running):
                return found
            try:
                reason = await _client(resource, server, found).provide(wanted)
            except NotYet as why:
                return Wait(AGAIN, str(why))
        return Failed(reason) if reason else Done(outputs_of(resource, found.port))

    async def observe(self, resource: ResourceSpec) -> Health:
        """Looked at by a query over TCP, as services would make one."""
        with _translated(resource.world):
            server = self._server(resource)
            in_use = (await in_thread(server.folder.resources)).get(resource.resource_id)
            if in_use is None:
                return Health.MISSING
            if not in_use:
                return Health.SUSPENDED
            running = await in_thread(server.running)
            if running is None:
                return Health.MISSING
            if running.status != "ready":
                return Health.PROGRESSING
            return await _client(resource, server, running).look(_wanted(resource))

    async def suspend(self, resource: ResourceSpec) -> Progress:
        """Not in use; the server stops when none of its world is."""
        server = self._server(resource)
        with _translated(resource.world):
            async with server.folder.locked() as lock:
                if lock is None:
                    return _busy()
                if resource.resource_id in await in_thread(server.folder.resources):
                    await in_thread(lambda: server.folder.keep(resource.resource_id, in_use=False))
                return await self._settle(server)

    async def destroy(self, resource: ResourceSpec) -> Progress:
        """Database and role are dropped; with the last of a world, its server and all its files go."""
        server = self._server(resource)
        with _translated(resource.world):
            async with server.folder.locked() as lock:
                if lock is None:
                    return _busy()
                resources = await in_thread(server.folder.resources)
                if resource.resource_id not in resources:
                    return await self._settle(server)
                if len(resources) == 1:
                    return await self._forget(server, resource)
                found = await self._serving(server, lock)
            if not isinstance(found, Running):
                return found
            try:
                await _client(resource, server, found).withdraw(_identity(resource))
            except NotYet as why:
                return Wait(AGAIN, str(why))
            async with server.folder.locked() as lock:
                return _busy() if lock is None else await self._forget(server, resource)

    def _server(self, resource: ResourceSpec) -> Server:
        return Server(Folder(self._home, resource.world_id))

    async def _serving(self, server: Server, lock: int) -> Running | Wait | Failed:
        """The server, ready; started where it does not run. The caller holds the lock."""
        before = await in_thread(server.log_size)
        started = await in_thread(server.running) is None
        if started:
            try:
                reason = await server.start(lock, self.config.first_port, self.config.last_port)
            except TimeoutError:
                return Wait(AGAIN, "remains of an earlier server end")
            if reason is not None:
                return Failed(reason)
        until = time.monotonic() + STARTING
        while (running := await in_thread(server.running)) is not None:
            if running.status == "ready":
                await in_thread(lambda port=running.port: server.folder.keep_port(port))  # type: ignore[misc]
                return running
            if running.status == "stopping":
                await server.stop()  # whoever told it so, and however gently
                return Wait(AGAIN, "an earlier server stops")
            if time.monotonic() > until:
                return Wait(AGAIN, f"the server is {running.status or 'starting'}")
            await asyncio.sleep(PAUSE)
        if not started:
            return Wait(AGAIN, "the server has ended")
        said = await in_thread(lambda: server.said(before))
        if NO_PORT in said:
            port = server.folder.port
            return (
                Failed(port_taken(port)) if port else Wait(AGAIN, "its port was taken: it gets another one")
            )
        raise Retryable(
            f"the Postgres in {server.folder.path} ended while it started",
            remedy="Put right what it complains of.",
            evidence=said,
        )

    async def _forget(self, server: Server, resource: ResourceSpec) -> Progress:
        await in_thread(lambda: server.folder.forget(resource.resource_id))
        return await self._settle(server)

    async def _settle(self, server: Server) -> Progress:
        """Nothing runs that nobody uses; what was discarded is gone. The caller holds the lock."""
        if (ending := await self._discard(server)) is not None:
            return ending
        await in_thread(server.folder.sweep)
        if not any((await in_thread(server.folder.resources)).values()) and not await server.stop():
            return Wait(AGAIN, "the server stops")
        return Done()

    async def _discard(self, server: Server) -> Wait | None:
        """Finish what the end of the last resource began; Wait while it takes."""
        if server.folder.discarded():
            if not await server.stop():
                return Wait(AGAIN, "the server stops")
            await in_thread(server.folder.discard)
        return None


def _wanted(resource: ResourceSpec) -> Wanted:
    """Raises InputError."""
    if not resource.password or not resource.password.isascii() or not resource.password.isprintable():
        raise InputError(
            f"the database {resource.name} has no password that it could have",
            remedy="Give it one of printable ASCII characters.",
        )
    return Wanted(
        name_of(resource),
        tag_of(resource.resource_id),
        resource.password,
        read_connections(resource.settings),
    )


def _identity(resource: ResourceSpec) -> Wanted:
    """Enough to find it, whatever became of its settings."""
    return Wanted(name_of(resource), tag_of(resource.resource_id), "", 0)


def _client(resource: ResourceSpec, server: Server, running: Running) -> Client:
    return Client(resource.world, running.socket, running.port, server.password)


def _busy() -> Wait:
    return Wait(AGAIN, "another process works on this world's Postgres")


@contextmanager
def _translated(world: str) -> Iterator[None]:
    """The host's errors, in deployd's words."""
    try:
        yield
    except PermissionError as error:
        raise Denied(
            f"deployd may not do this to {error.filename}: {error.strerror}",
            remedy="Let deployd's user own its data folder.",
        ) from error
    except OSError as error:
        raise Retryable(
            f"the Postgres of world {world} could not be looked after: {error}",
            remedy="Look at the host's disk and limits.",
        ) from error
    except PostgresUnavailable as error:
        kind = Retryable if isinstance(error.__cause__, OSError) else Terminal
        raise kind(error.message, remedy=error.remedy, evidence=error.evidence) from error
