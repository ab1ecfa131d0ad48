"""A request is a span of its caller's trace, and the change that it asks for is linked to it."""

from __future__ import annotations

import time
from pathlib import Path

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployd.model.facts import ChangeFacts
from deployd.model.state import MachineKind
from deployd.store import machines
from deployd.store.database import Database
from deployd.telemetry.exporting import Exporter
from tests.integration.web.server import serve

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DEPLOY = 'mutation { deploy(input: {world: "local", directory: "%s"}) { ... on Change { id } } }'


async def test_who_asked(database: Database, tmp_path: Path) -> None:
    memory, began = InMemorySpanExporter(), time.time_ns()
    async with serve(database, tracer=Exporter(SimpleSpanProcessor(memory), {})) as served:
        await served.post(DEPLOY % tmp_path, {"traceparent": CALLER})
        await served.post("{ nothing }")
        async with served.session.post(f"{served.url}/nowhere", json={}) as answer:
            assert answer.status == 404
        async with served.session.get(f"{served.url}/healthz") as answer:
            assert answer.status == 200, "only what asks for something is a span"
        [change] = await machines.list_kind(database, served.world_id, MachineKind.CHANGE, all_=True)
    asked, wrong, nowhere = memory.get_finished_spans()
    assert asked.name == "mutation deploy"
    assert asked.context is not None
    assert asked.parent is not None
    assert f"{asked.context.trace_id:032x}" == CALLER[3:35]
    assert f"{asked.parent.span_id:016x}" == CALLER[36:52]
    assert began <= (asked.start_time or 0) < (asked.end_time or 0) <= time.time_ns()
    assert isinstance(change.facts, ChangeFacts)
    assert change.facts.traceparent == f"{CALLER[:36]}{asked.context.span_id:016x}-01"
    assert (wrong.name, wrong.parent) == ("POST /graphql", None)
    assert nowhere.name == "POST"
    assert (nowhere.attributes or {})["http.response.status_code"] == 404
