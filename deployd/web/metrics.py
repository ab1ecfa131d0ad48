"""GET /metrics, for Prometheus: what this process counted, and what the database says at that moment.

One answer covers all worlds and the process itself, which belongs to none: so a token of some worlds only is
refused, as the policy does for everything that belongs to no world.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from deployd import __version__
from deployd.access.policy import Action, require
from deployd.errors import PostgresUnavailable
from deployd.graphql.context import Api
from deployd.store import figures
from deployd.store.figures import Figures
from deployd.telemetry.instruments import Counter, Histogram
from deployd.telemetry.metrics import INSTRUMENTS
from deployd.web.authentication import Authentication
from deployd.web.problem import Handler

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["metrics"]

FRESH = 1.0  # seconds for which what the database said is believed
PATIENCE = 5.0  # seconds that it has to answer

Gauges = Callable[[], Mapping[str, int]]
"""What is open in the web now: `websockets`, `operations`."""


def metrics(api: Api, authentication: Authentication, open_now: Gauges) -> Handler:
    """The handler. The format is chosen by `Accept`: Prometheus' text, or OpenMetrics."""
    # Here, since only whoever looks at metrics needs the library.
    from prometheus_client import PlatformCollector, ProcessCollector
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector, CollectorRegistry

    class Snapshot(Collector):
        """What is told by one answer."""

        def __init__(self, read: Figures | None) -> None:
            self._read = read

        def collect(self) -> Iterable[Metric]:
            """Everything that is deployd's own."""
            yield from _counted()
            yield from _held(api, open_now())
            yield from _stored(self._read)

    latest: tuple[float, Figures | None] = float("-inf"), None
    lock = asyncio.Lock()
    process = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=process)
    PlatformCollector(registry=process)

    async def read() -> Figures | None:
        nonlocal latest
        async with lock:
            if time.monotonic() - latest[0] > FRESH:
                try:
                    async with asyncio.timeout(PATIENCE):
                        found: Figures | None = await figures.read(api.db)
                except (PostgresUnavailable, TimeoutError):
                    found = None  # the rest is told all the same: just now somebody wants to know
                latest = time.monotonic(), found
            return latest[1]

    async def handle(request: web.Request) -> web.StreamResponse:
        actor = await authentication.actor(request, request.headers.get("Authorization"))
        require(actor, Action.SEE_METRICS, None)
        both = CollectorRegistry(auto_describe=False)
        both.register(Snapshot(await read()))
        both.register(process)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(both), headers={"Content-Type": content_type})

    return handle


def _counted() -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    for one in INSTRUMENTS:
        if isinstance(one, Counter):
            counter = CounterMetricFamily(one.name, one.help, labels=one.labels)
            for labels, value in one.values.items():
                counter.add_metric(labels, value)
            yield counter
        else:
            yield _histogram(one, HistogramMetricFamily(one.name, one.help, labels=one.labels))


def _histogram(one: Histogram, family: Metric) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    assert isinstance(family, HistogramMetricFamily)
    bounds = [*map(str, one.bounds), "+Inf"]
    for labels, series in one.series.items():
        total, buckets = 0, []
        for bound, count in zip(bounds, series.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(labels, buckets, series.sum)
    return family


def _held(api: Api, now: Mapping[str, int]) -> Iterable[Metric]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily(
        "deployd_build",
        "What runs.",
        value={"version": __version__, "python_version": platform.python_version()},
    )
    yield GaugeMetricFamily("deployd_websockets_open", "Open websockets.", now["websockets"])
    yield GaugeMetricFamily(
        "deployd_websocket_operations_open",
        "Operations under way over websockets.",
        now["operations"],
    )
    there = api.db.connections
    size = GaugeMetricFamily("deployd_database_pool_connections", "Of the pool, by state.", labels=["state"])
    size.add_metric(["idle"], there.idle)
    size.add_metric(["used"], there.used)
    yield size
    yield GaugeMetricFamily("deployd_database_pool_limit", "How many there may be.", there.most)


def _stored(read: Figures | None) -> Iterable[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily(
        "deployd_database_up", "Whether Postgres answered just now.", int(read is not None)
    )
    if read is None:
        return
    there = GaugeMetricFamily(
        "deployd_machines", "Machines that live, or are under way.", labels=["world", "kind", "state"]
    )
    for (world, kind, state), number in read.machines.items():
        there.add_metric([world, kind, state], number)
    yield there
    mail = GaugeMetricFamily("deployd_mailbox_requests", "Requests that wait.", labels=["world"])
    oldest = GaugeMetricFamily(
        "deployd_mailbox_oldest_seconds", "Age of the oldest of them.", labels=["world"]
    )
    for world, (number, age) in read.mail.items():
        mail.add_metric([world], number)
        oldest.add_metric([world], age)
    yield mail
    yield oldest
    yield GaugeMetricFamily("deployd_machines_due", "Machines whose time has come, held by nobody.", read.due)
    yield GaugeMetricFamily(
        "deployd_due_lag_seconds", "For how long the one of them that is due longest has been.", read.lag
    )
    yield GaugeMetricFamily("deployd_workers_alive", "Workers, of all processes.", read.workers)
