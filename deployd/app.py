"""The composition root: everything that deployd consists of, made in order and ended in reverse.

`python -m deployd.app [--trust-loopback]` is the server; `deployd serve` and `deployd up` start it so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import gc
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    gc.disable()  # all that is imported stays; looking for garbage in it takes a third of the time to start

from deployd import __version__
from deployd.drivers import registry
from deployd.drivers.api import Deployer, DriverContext, Watch
from deployd.engine.access import Access
from deployd.engine.acts import ACTS, ANSWERS
from deployd.engine.auditing import Auditing
from deployd.engine.bus import Bus
from deployd.engine.collecting import settle_collector
from deployd.engine.committer import Committer
from deployd.engine.context import ENTRYPOINT, Context, Driver
from deployd.engine.hearing import hear
from deployd.engine.maintaining import Maintaining
from deployd.engine.operations import Operations
from deployd.engine.outcome import Acts
from deployd.engine.secrets import Secrets
from deployd.engine.tracing import Traces
from deployd.engine.worker import Worker
from deployd.errors import DeploydError, PostgresUnavailable, SettingsError, Unsupported
from deployd.graphql.context import Api
from deployd.model.actor import ENGINE, Role
from deployd.model.world import SYSTEM, Capability
from deployd.postgres.cluster import make_home
from deployd.settings import Settings
from deployd.sources.trees import Trees
from deployd.store import tokens, worlds
from deployd.store.database import Database
from deployd.store.embedded import EmbeddedPostgres
from deployd.store.key import key_in
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions
from deployd.store.vault import Vault
from deployd.telemetry.exporting import exporter_of
from deployd.telemetry.lines import configure
from deployd.telemetry.tracing import Tracer
from deployd.web.application import application
from deployd.web.serving import start

__all__ = ["Deployd", "deployd", "main"]

_log = logging.getLogger("deployd")

_LOCAL = "local"
_ROUTER = "route:local"
_TRACES_SENT = 1.0  # seconds
_HEAR_EVERY = 2.0
"""Seconds until it is seen that a world has a new capability; until then its services are only looked at."""


class Deployd:
    """A running server. `worker` may be looked at; nothing here is changed while it runs."""

    def __init__(
        self, db: Database, operations: Operations, worker: Worker, api: Api, tracer: Tracer | None = None
    ) -> None:
        self.db, self.operations, self.worker, self.api = db, operations, worker, api
        self.tracer = tracer


@asynccontextmanager
async def deployd(settings: Settings, *, acts: Acts = ACTS) -> AsyncIterator[Deployd]:
    """Everything but the web: database, committer, worker, drivers. Works while the context lasts."""
    home = settings.home
    async with AsyncExitStack() as stack:
        dsn = settings.database_url
        if dsn is None:
            postgres = EmbeddedPostgres(home / "postgres")
            dsn = await postgres.start()
            stack.push_async_callback(postgres.stop)
            await stack.enter_async_context(_running(postgres.keep(), "postgres"))
        applied = await migrate(dsn)
        if applied:
            _log.info("schema: applied %s", ", ".join(applied))
        db = await stack.enter_async_context(Database(dsn))
        await worlds.add(db, SYSTEM, {})
        await worlds.add(db, _LOCAL, {"main": Capability("deploy:process")})
        await worlds.add_capability(db, _LOCAL, ENTRYPOINT, Capability(_ROUTER))
        await worlds.add_capability(db, _LOCAL, "data", Capability("local/postgres"))
        system = await worlds.get(db, SYSTEM)
        assert system is not None
        placement = _placement(home)
        await _ensure_token(db, home, system.world_id, placement)
        await ensure_partitions(db)

        bus = Bus(db)
        await stack.enter_async_context(bus.running())
        tracer, moved = await stack.enter_async_context(_tracing()), None
        if tracer is not None:
            traces = Traces(db, tracer)
            await stack.enter_async_context(_telling(traces))
            moved = traces.moved
        committer = Committer(db, bus.committed, moved)
        await stack.enter_async_context(_finishing(committer))
        drivers = _Drivers(home / "drivers", placement, {_ROUTER: {"port": settings.entrypoint_port}})
        vault = Vault(db, settings.secret_key or key_in(home / "secret.key"))
        trees = Trees(home / "sources")
        context = Context(db, trees, placement, drivers.driver, vault, tracer=tracer)
        operations = Operations(db, committer, placement)
        worker = await stack.enter_async_context(
            Worker(context, committer, bus, acts, ANSWERS, placements=[placement])
        )
        await _configured(db, drivers, set())  # made and imported once, before anything waits for it
        await stack.enter_async_context(_running(_hear_all(db, drivers, committer), "watches"))
        maintaining = Maintaining(
            db, trees, placement, settings.keep, lambda: _configured(db, drivers, set())
        )
        await stack.enter_async_context(_running(maintaining.run(), "maintenance"))

        async def deployer(world_id: int, capability: str) -> Deployer:
            driver = await context.driver_of(world_id, capability)
            if not isinstance(driver, Deployer):
                raise Unsupported(f"capability {capability!r} does not run services")
            return driver

        settle_collector()
        auditing = Auditing(db, system.world_id)
        await stack.enter_async_context(auditing.running())
        access = Access(operations, system.world_id, bus.revoked)
        secret = Secrets(operations, vault)
        api = Api(operations, db, bus, deployer, secret, access, auditing, drivers.driver, maintaining)
        yield Deployd(db, operations, worker, api, tracer)


class _Drivers:
    """Each driver once for each configuration."""

    def __init__(self, home: Path, placement: str, defaults: Mapping[str, Mapping[str, object]]) -> None:
        """`defaults`: what this host's settings say, by driver; a capability's own configuration wins."""
        self._home, self._placement, self._defaults = home, placement, defaults
        self._made: dict[tuple[str, str], Driver] = {}

    def driver(self, name: str, config: Mapping[str, object]) -> Driver:
        """The driver of this name with this configuration. Raises NotFound, Terminal, InputError."""
        config = {**self._defaults.get(name, {}), **config}
        key = name, json.dumps(config, sort_keys=True)
        if key not in self._made:
            context = DriverContext(self._home / name.replace(":", "-").replace("/", "-"), self._placement)
            self._made[key] = registry.create(name, config, context)
        return self._made[key]


async def _configured(db: Database, drivers: _Drivers, told: set[str]) -> list[Driver]:
    """Every driver that a living world has a capability for. Why one cannot be made is logged once."""
    made: dict[int, Driver] = {}
    for world in await worlds.list_all(db):
        for capability in world.capabilities.values() if world.retired_at is None else ():
            try:
                driver = drivers.driver(capability.driver, capability.config)
            except DeploydError as error:
                text = f"world {world.name}: {error.message} {error.remedy}"
                if text not in told:
                    told.add(text)
                    _log.warning("%s", text)
            else:
                made[id(driver)] = driver
    return list(made.values())


async def _hear_all(db: Database, drivers: _Drivers, committer: Committer) -> None:
    """What drivers notice wakes services: those of capabilities too that come while the server runs."""
    heard: dict[int, asyncio.Task[None]] = {}
    told: set[str] = set()
    try:
        while True:
            try:
                there = {
                    id(one): one for one in await _configured(db, drivers, told) if isinstance(one, Watch)
                }
                for key in heard.keys() - there.keys():
                    heard.pop(key).cancel()
                for key in there.keys() - heard.keys():
                    heard[key] = asyncio.create_task(hear(there[key], committer), name="watch")
            except PostgresUnavailable as error:
                _log.debug("watches: %s", error)
            await asyncio.sleep(_HEAR_EVERY)
    finally:
        for task in heard.values():
            task.cancel()
        await asyncio.gather(*heard.values(), return_exceptions=True)


async def _ensure_token(db: Database, home: Path, system_world_id: int, placement: str) -> None:
    """HOME/token holds a token of the role admin, for whoever may read the file."""
    path = home / "token"
    if path.exists():
        token = path.read_text(encoding="ascii").strip()
    else:
        token = f"deployd_{secrets.token_urlsafe(32)}"
        _write(path, token + "\n", mode=0o600)
    await tokens.add(db, system_world_id, f"home-{placement}", Role.ADMIN, token, created_by=ENGINE)


def _placement(home: Path) -> str:
    """The name of this host as a place for work: made once, kept in HOME."""
    path = home / "placement"
    if not path.exists():
        _write(path, f"host-{secrets.token_hex(8)}\n", mode=0o644)
    return path.read_text(encoding="ascii").strip()


def _write(path: Path, text: str, *, mode: int) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _finishing(committer: Committer) -> AsyncIterator[None]:
    """The committer runs, and at the end finishes what waits."""
    task = asyncio.create_task(committer.run(), name="committer")
    try:
        yield
    finally:
        committer.stop()
        await asyncio.wait([task], timeout=5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _tracing() -> AsyncIterator[Tracer | None]:
    """Where traces go, if the environment says so; at the end what is left is sent, for a second at most."""
    exporter = exporter_of(os.environ)
    try:
        yield exporter
    finally:
        if exporter is not None:
            # A thread of its own, that a receiver which does not answer cannot make us wait for.
            closing = threading.Thread(target=exporter.close, name="traces", daemon=True)
            closing.start()
            await asyncio.to_thread(closing.join, _TRACES_SENT)


@asynccontextmanager
async def _telling(traces: Traces) -> AsyncIterator[None]:
    """Spans are told, and at the end those that wait."""
    async with _running(traces.run(), "traces"):
        yield
    try:
        async with asyncio.timeout(_TRACES_SENT):
            await traces.tell()
    except (PostgresUnavailable, TimeoutError) as error:
        _log.warning("traces: %s", error or "what was left is not told")


@contextlib.contextmanager
def _own(home: Path) -> Iterator[None]:
    """This process alone serves this home. Raises SettingsError with the id of the one that does."""
    make_home(home)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode().strip()
            raise SettingsError(
                f"{home} is served by process {holder} already",
                remedy="Use that one, stop it with `deployd down`, or set another DEPLOYD_HOME.",
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _announced(home: Path, url: str) -> Iterator[None]:
    """HOME/server.json says where the server answers, for as long as it does."""
    path = home / "server.json"
    content = {"pid": os.getpid(), "url": url, "started_at": datetime.now(UTC).isoformat()}
    _write(path, json.dumps(content), mode=0o644)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def _serve(settings: Settings, *, trust_loopback: bool) -> None:
    """Until SIGTERM or SIGINT. Services go on without us."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _own(settings.home):
        async with deployd(settings) as server:
            hosts = frozenset({"localhost", "127.0.0.1", "::1", settings.host})
            app = application(
                server.api, trust_loopback=trust_loopback, allowed_hosts=hosts, tracer=server.tracer
            )
            async with await start(app, settings.host, settings.port) as running:
                shown = f"[{settings.host}]" if ":" in settings.host else settings.host
                url = f"http://{shown}:{running.port}"
                with _announced(settings.home, url):
                    _log.info("deployd %s answers at %s", __version__, url)
                    await stop.wait()
                    _log.info("stopping; services go on")


def main() -> int:
    """The server's process. Exit status: 0 after a signal, 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="deployd serve")
    parser.add_argument("--trust-loopback", action="store_true", help="callers on this host need no token")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        configure(sys.stderr, settings.log_level, settings.log_format)
        asyncio.run(_serve(settings, trust_loopback=arguments.trust_loopback))
        return 0
    except DeploydError as error:
        sys.stderr.write(f"deployd: {error.message}\n")
        for line in error.evidence.splitlines():
            sys.stderr.write(f"    {line}\n")
        if error.remedy:
            sys.stderr.write(f"what to do: {error.remedy}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
