"""A change is one trace: what a deployment tells, over workers and restarts, and over OTLP."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployd.engine.context import Context
from deployd.engine.tracing import Traces
from deployd.store.database import Database
from deployd.telemetry.exporting import Exporter, exporter_of
from deployd.telemetry.subject import ASKING
from tests.house import House, house

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def memory() -> Iterator[InMemorySpanExporter]:
    made = InMemorySpanExporter()
    yield made
    made.shutdown()


@asynccontextmanager
async def traced(db: Database, home: Path, exporter: Exporter) -> AsyncIterator[House]:
    """A house whose commits and drivers are traced; at its end all is told."""
    traces = Traces(db, exporter)

    def change(context: Context) -> None:
        context.tracer = exporter

    async with house(db, home, change=change, moved=traces.moved) as made:
        yield made
    await traces.tell()


def by_name(spans: Mapping[int, ReadableSpan], name: str) -> ReadableSpan:
    [found] = [one for one in spans.values() if one.name == name]
    return found


async def test_a_change_is_one_trace(
    database: Database, tmp_path: Path, memory: InMemorySpanExporter
) -> None:
    exporter = Exporter(SimpleSpanProcessor(memory), {})
    asking = exporter.ask({"TraceParent": CALLER})
    assert asking.trace_id == CALLER[3:35]
    began = time.time_ns()
    async with traced(database, tmp_path, exporter) as home:
        token = ASKING.set(asking)
        change = await home.deploy(cart="ok", web="broken")
        ASKING.reset(token)
        await home.until(change.id, "partly")
        made = {str(one.id) for one in await home.deployments(change.id)}
    ended = time.time_ns()

    spans = {one.context.span_id: one for one in memory.get_finished_spans() if one.context}
    assert {one.context.trace_id for one in spans.values() if one.context} == {change.id.int}
    root = by_name(spans, "change")
    assert root.parent is None
    assert root.status.description is not None
    assert "web" in root.status.description
    assert [f"{link.context.span_id:016x}" for link in root.links] == [asking.span_id]
    deployment = by_name(spans, "deployment cart")
    assert deployment.parent is not None
    assert spans[deployment.parent.span_id] is root
    for span in spans.values():
        # The database's clock and this one are of one host; commits are told in microseconds.
        assert began - 1_000_000 <= (span.start_time or 0) <= (span.end_time or 0) <= ended + 1_000_000
        if span is not root:
            assert span.parent is not None
            assert span.parent.span_id in spans, span.name
    states = [one for one in spans.values() if one.parent and one.parent.span_id == _id(deployment)]
    states.sort(key=lambda one: (one.attributes or {})["deployd.seq"])
    path = [one.name for one in states]
    assert path == ["queued", "fetching", "planning", "building", "provisioning", "releasing", "verifying"]
    for before, after in itertools.pairwise(states):
        assert before.end_time == after.start_time, "one state ends where the next begins"
    assert (states[0].start_time or 0) >= (deployment.start_time or 0)
    assert states[-1].end_time == deployment.end_time
    calls = [one for one in spans.values() if one.name == "deploy:process apply"]
    within = {spans[one.parent.span_id].name for one in calls if one.parent}
    assert "releasing" in within
    assert any((one.attributes or {})["deployd.outcome"] == "done" for one in calls)
    assert (deployment.attributes or {})["deployd.machine"] in made


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


async def test_another_process_goes_on_with_the_trace(
    database: Database, tmp_path: Path, memory: InMemorySpanExporter
) -> None:
    """The first one ends while a state lasts; the second tells that state, from its beginning."""
    first = InMemorySpanExporter()
    async with traced(database, tmp_path, Exporter(SimpleSpanProcessor(first), {})) as home:
        home.patience = 5
        change = await home.deploy(cart="slow")
        [cart] = await _made(home, change.id)
        await home.until(cart, "releasing", "verifying")
    async with traced(database, tmp_path, Exporter(SimpleSpanProcessor(memory), {})) as home:
        await home.until(change.id, "failed")
        history = {one.to_state: one.at for one in await home.history() if one.machine_id == cart}
    told = {one.name: one for one in memory.get_finished_spans()}
    assert "queued" not in told
    verifying, deployment = told["verifying"], told["deployment cart"]
    assert verifying.start_time == round(history["verifying"].timestamp() * 1_000_000) * 1000
    assert {one.context.trace_id for one in (*told.values(), *first.get_finished_spans()) if one.context} == {
        change.id.int
    }
    queued = next(
        one
        for one in first.get_finished_spans()
        if one.name == "queued" and one.parent and one.parent.span_id == _id(deployment)
    )
    assert (queued.start_time or 0) >= (deployment.start_time or 0)


async def _made(home: House, change_id: object) -> list[object]:
    ending = time.monotonic() + 20
    while time.monotonic() < ending:
        if made := await home.deployments(change_id):  # type: ignore[arg-type]
            return [one.id for one in made]
        await asyncio.sleep(0.01)
    raise AssertionError("no deployment came")


async def test_over_otlp(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real receiver, which reads the protocol by the types that it comes with."""
    heard: list[ExportTraceServiceRequest] = []

    async def receive(request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        heard.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    try:
        exporter = exporter_of({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
        assert exporter is not None
        async with traced(database, tmp_path, exporter) as home:
            change = await home.deploy(cart="ok")
            await home.until(change.id, "done")
        await asyncio.to_thread(exporter.close)
    finally:
        await runner.cleanup()
    [resource] = {
        one.value.string_value
        for request in heard
        for spans in request.resource_spans
        for one in spans.resource.attributes
        if one.key == "service.name"
    }
    assert resource == "deployd"
    spans = [
        span
        for request in heard
        for resource_spans in request.resource_spans
        for scope in resource_spans.scope_spans
        for span in scope.spans
    ]
    assert {one.trace_id for one in spans} == {change.id.bytes}
    assert {"change", "deployment cart", "verifying"} <= {one.name for one in spans}


OFF: list[dict[str, str]] = [
    {},
    {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
    {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
    {"OTEL_TRACES_EXPORTER": "zipkin"},
]


def test_off_where_nobody_asks_for_it() -> None:
    assert [exporter_of(one) for one in OFF] == [None] * len(OFF)


def test_traceparents(memory: InMemorySpanExporter) -> None:
    exporter = Exporter(SimpleSpanProcessor(memory), {})
    mine = exporter.ask({})
    exporter.asked(mine, start=1, end=2, status=200)
    theirs = exporter.ask({"traceparent": CALLER})
    theirs.name = "mutation deploy"
    exporter.asked(theirs, start=3, end=4, status=503)
    assert exporter.ask({"traceparent": CALLER[:-1]}).trace_id != CALLER[3:35]
    unsampled = exporter.ask({"traceparent": CALLER[:-1] + "0"})
    exporter.asked(unsampled, start=5, end=6, status=200)
    first, second = memory.get_finished_spans()
    assert first.context is not None
    assert second.context is not None
    assert (first.parent, f"{first.context.trace_id:032x}") == (None, mine.trace_id)
    assert (second.name, f"{second.context.trace_id:032x}") == ("mutation deploy", CALLER[3:35])
    assert second.parent is not None
    assert f"{second.parent.span_id:016x}" == CALLER[36:52]
    assert second.status.description == "status 503"
