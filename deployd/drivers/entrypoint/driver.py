"""The router of local addresses. It keeps nothing that matters in memory: a new one finds everything."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from deployd.drivers.api import DriverContext, Endpoint, Routed, Router, ServiceRef, Target
from deployd.drivers.entrypoint.claims import entry_gates, refusals, taken, wanted
from deployd.drivers.entrypoint.client import Client, State
from deployd.drivers.entrypoint.config import Config, read_config
from deployd.drivers.entrypoint.examining import examine
from deployd.drivers.entrypoint.proxy import record as table
from deployd.drivers.entrypoint.proxy.record import Record
from deployd.drivers.entrypoint.reserve import free_port
from deployd.errors import Denied, Retryable
from deployd.model.finding import Finding
from deployd.model.reason import Reason
from deployd.model.spec import RouteSpec
from deployd.model.world import Gate

__all__ = ["LocalRouter", "create"]

T = TypeVar("T")
LOCAL = "local"
"""The world whose services need not name it: `hello.localhost`, not `hello.local.localhost`."""
INSIDE = "127.0.0.1"

_log = logging.getLogger(__name__)


def create(config: Mapping[str, object], context: DriverContext) -> Router:
    """The entry point. Raises InputError for settings that are wrong."""
    return LocalRouter(read_config(config), context)


class LocalRouter:
    """A Router whose public side is one proxy, a process of its own."""

    def __init__(self, config: Config, context: DriverContext) -> None:
        self.config = config
        self.drain_seconds = config.drain_seconds
        self.client = Client(context.home.absolute())
        self._told: dict[str, str] = {}
        """What was logged already, by service: its watch finds it again and again."""

    async def reserve(self, service: ServiceRef, scheme: str) -> Endpoint:
        """The port is on record before it is told; the proxy opens it once it runs for anybody."""
        return await _blocking(lambda: self._reserve(service, scheme))

    async def plan(
        self, service: ServiceRef, routes: Sequence[RouteSpec], gates: Mapping[str, Gate]
    ) -> tuple[Reason, ...]:
        """Gates that are not there, and ways in that other services have."""
        name = str(service.service_id)
        records = await _blocking(self.client.read_all)
        return tuple(refusals(name, host_of(service), routes, gates, self.config, records))

    async def route(
        self,
        service: ServiceRef,
        targets: Sequence[Target],
        *,
        routes: Sequence[RouteSpec] = (),
        gates: Mapping[str, Gate] | None = None,
    ) -> Routed:
        """The table first, then the proxy, which is started where it is missing."""
        return await _blocking(lambda: self._route(service, targets, routes, gates or {}))

    async def unroute(self, service: ServiceRef, why: str | None = None, *, soon: bool = False) -> Routed:
        """A reason is kept in the table, for whoever asks; without one the service is forgotten."""
        return await _blocking(lambda: self._unroute(service, why, soon=soon))

    async def examine(self, services: Collection[UUID]) -> Sequence[Finding]:
        """Whether the addresses can be had."""
        return [await _blocking(lambda: examine(self.client, self.config))]

    def _reserve(self, service: ServiceRef, scheme: str) -> Endpoint:
        name = str(service.service_id)

        def change(records: Mapping[str, Record]) -> Record:
            before = records.get(name) or Record(service.service, scheme=scheme)
            return self._with_port(before, service, records)

        before = self.client.read(name)
        if before is None or not before.port:
            before = self.client.change(name, change)
            self.client.ask(name)
        return Endpoint(INSIDE, before.port, scheme)

    def _with_port(self, record: Record, service: ServiceRef, records: Mapping[str, Record]) -> Record:
        if record.port:
            return record
        used = {one.port for one in records.values()}
        return replace(record, port=free_port(service.service_id, used, self.config))

    def _route(
        self,
        service: ServiceRef,
        targets: Sequence[Target],
        routes: Sequence[RouteSpec],
        gates: Mapping[str, Gate],
    ) -> Routed:
        name, config, now = str(service.service_id), self.config, time.time()
        notes: list[str] = []
        goals = tuple(
            table.Target(urlsplit(one.address).netloc, one.weight) for one in targets if one.weight > 0
        )
        scheme = "http" if any(urlsplit(one.address).scheme == "http" for one in targets) else "tcp"

        def change(records: Mapping[str, Record]) -> Record:
            before = records.get(name)
            ways: list[table.Way] = []
            if scheme == "http" and config.port:
                for way in wanted(host_of(service), routes, gates, now, before):
                    if owner := taken(way, name, (config.listen, config.port), records):
                        at = f"{way.host}{way.path}"
                        notes.append(f"{at} leads to service {owner} already, and so not to this one")
                    else:
                        ways.append(way)
            same = before is not None and before.targets == goals and bool(goals)
            record = Record(
                service.service,
                goals,
                since=before.since if same and before is not None else now,
                listen=config.listen,
                entry=config.port,
                ways=tuple(ways),
                gates=entry_gates(config, gates),
                port=0 if before is None else before.port,
                scheme=scheme,
            )
            return self._with_port(record, service, records)

        known = self.client.read(name)
        if known is None or known.targets != goals:
            self.client.keep(name, config.listen, config.port)  # of this version, before it reads the record
        record = self.client.change(name, change)
        state = self.client.keep(name, config.listen, config.port)
        notes += self._cannot_be_had(name, record, state)
        reached = self._urls(record) if not _at(config.listen, config.port, state) else ()
        local = next((one for one, way in zip(reached, record.ways, strict=False) if way.local), None)
        return Routed(local, self._draining(record, state), "; ".join(notes), reached, self._inside(record))

    def _unroute(self, service: ServiceRef, why: str | None, *, soon: bool) -> Routed:
        name = str(service.service_id)
        if self.client.read(name) is None:
            return Routed()
        if why is None:
            self.client.remove(name)
            self.client.ask(name)  # once it answers, it has taken the table over
            return Routed()

        def change(records: Mapping[str, Record]) -> Record:
            before = records.get(name) or Record(service.service)
            if not before.targets and (before.why, before.soon) == (why, soon):
                return before
            since = before.since if not before.targets else time.time()
            return replace(before, targets=(), why=why, soon=soon, since=since)

        record = self.client.change(name, change)
        state = self.client.ask(name)
        draining = 0 if state is None else self._draining(record, state)
        return Routed(draining=draining, endpoint=self._inside(record))

    def _draining(self, record: Record, state: State) -> int:
        """Requests to where it leads no more, while they have time."""
        if time.time() - record.since > self.config.drain_seconds:
            return 0
        goals = {one.address for one in record.targets}
        return sum(count for one, count in state.busy.items() if one not in goals)

    def _inside(self, record: Record) -> Endpoint | None:
        return Endpoint(INSIDE, record.port, record.scheme) if record.port else None

    def _urls(self, record: Record) -> tuple[str, ...]:
        """Of its ways in, in their order."""
        port = "" if record.entry == 80 else f":{record.entry}"
        return tuple(f"http://{way.host}{port}{way.path.rstrip('/')}" for way in record.ways)

    def _cannot_be_had(self, name: str, record: Record, state: State) -> list[str]:
        """Why it is not reached where it should be; logged when it is news."""
        notes = []
        if record.ways and (why := _at(record.listen, record.entry, state)):
            notes.append(
                f"there is no http://{record.ways[0].host}:{record.entry}: port {record.entry} of this host "
                f"cannot be had ({why}); set DEPLOYD_ENTRYPOINT_PORT to a free one"
            )
        if why := _at(INSIDE, record.port, state):
            notes.append(f"its internal address {INSIDE}:{record.port} cannot be had ({why}); free that port")
        said = "; ".join(notes)
        if said and said != self._told.get(name):
            _log.warning("service %s: %s", record.service, said)
        if said:
            self._told[name] = said
        else:
            self._told.pop(name, None)
        return notes


def _at(host: str, port: int, state: State) -> str | None:
    return state.failed.get(f"{host}:{port}")


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
