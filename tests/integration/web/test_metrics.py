"""/metrics: what Prometheus' own parsers make of it, and who may see it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from deployd.model.actor import Role
from deployd.model.identifier import new_id
from deployd.store import figures, tokens, workers
from deployd.store.commit import Post
from deployd.store.database import Database
from deployd.store.queries import QUERIES
from deployd.web import metrics
from tests.integration.web.server import Served, serve

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def token(database: Database) -> str:
    system = await database.pool.fetchval("select world_id from worlds where name = 'system'")
    await tokens.add(database, system, "prometheus", Role.VIEWER, "scraping")
    return "scraping"


async def scrape(served: Served, **headers: str) -> tuple[int, str, str]:
    async with served.session.get(f"{served.url}/metrics", headers=headers) as response:
        return response.status, response.headers["Content-Type"], await response.text()


def samples(text: str) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in families(text)
        for one in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


async def test_what_is_told(served: Served) -> None:
    before = samples((await scrape(served))[2])
    service = served.service('ca"rt\\')
    await served.committer.store(births=(service, served.service("web")))
    await served.move(service.id, ("deploy", "deploying"))
    await served.committer.store(posts=(Post(served.world_id, service.id, "cancel", "person:ada"),))
    await workers.add(served.db, new_id(), ["here"], "here", 1)
    await served.data("{ one: worlds { name } two: worlds { name } version }")
    await served.post("{ nothingLikeThat }")
    await served.data(
        'mutation { deploy(input: {world: "nowhere", directory: "/x"}) { ... on Problem { code } } }'
    )
    async with served.connect() as socket:
        await socket.init()
        await socket.subscribe(
            'subscription { transitions(world: "local") { ... on TransitionBatch { cursor } } }'
        )
        await socket.next()
        await asyncio.sleep(1.05)  # what the database said before is believed for a second
        status, content_type, text = await scrape(served)
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    found = samples(text)

    def more(name: str, **labels: str) -> float:
        return value(found, name, **labels) - value(before, name, **labels)

    machines: dict[str, Any] = {"world": "local", "kind": "service"}
    assert value(found, "deployd_machines", state="idle", **machines) == 1
    assert value(found, "deployd_machines", state="deploying", **machines) == 1
    moved = {"kind": "service", "trigger": "deploy", "to_state": "deploying"}
    assert more("deployd_transitions_total", **moved) == 1
    assert more("deployd_transitions_total", kind="service", trigger="create", to_state="idle") == 2
    assert more("deployd_outcomes_total", result="moved") == 1
    assert more("deployd_commit_duration_seconds_count") == 3
    assert more("deployd_commit_outcomes_sum") == 3
    assert value(found, "deployd_mailbox_requests", world="local") == 1
    assert 1 <= value(found, "deployd_mailbox_oldest_seconds", world="local") < 60
    assert value(found, "deployd_machines_due") == 2
    assert value(found, "deployd_due_lag_seconds") >= 1
    assert value(found, "deployd_workers_alive") == 1
    took = "deployd_graphql_operation_duration_seconds_count"
    assert more(took, operation="query", field="worlds", outcome="ok") == 1
    assert more(took, operation="query", field="version", outcome="ok") == 1
    assert more(took, operation="invalid", field="invalid", outcome="BAD_REQUEST") == 1
    assert "nothingLikeThat" not in text
    assert more("deployd_graphql_problems_total", code="NOT_FOUND") == 1
    assert value(found, "deployd_websockets_open") == 1
    assert value(found, "deployd_websocket_operations_open") == 1
    assert value(found, "deployd_database_pool_limit") == 8
    assert value(found, "process_resident_memory_bytes") > 0
    assert any(name == "deployd_build_info" for name, _ in found)
    assert str(service.id) not in text


async def test_what_has_ended_is_not_looked_at(served: Served) -> None:
    """However much of it there is."""
    done, under_way = (served.deployment("cart", new_id()) for _ in range(2))
    await served.committer.store(births=(done, under_way))
    await served.move(done.id, ("fail", "failed"))
    await served.db.pool.execute("update machines set due_at = null where id = $1", done.id)
    found = await figures.read(served.db)
    assert found.machines == {("local", "deployment", "queued"): 1}
    async with served.db.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        plan = await connection.fetch("explain " + QUERIES["figures"])
    assert not any("Seq Scan on machines" in row[0] for row in plan)


async def test_openmetrics_where_it_is_asked_for(served: Served) -> None:
    status, content_type, text = await scrape(
        served, Accept="application/openmetrics-text; version=1.0.0, text/plain;q=0.5"
    )
    assert (status, content_type.split(";")[0]) == (200, "application/openmetrics-text")
    assert "deployd_commit_duration_seconds" in {one.name for one in open_families(text)}


async def test_who_may_see_it(strict: Served, token: str) -> None:
    assert (await scrape(strict))[0] == 401
    assert (await scrape(strict, Authorization="Bearer other"))[0] == 401
    assert (await scrape(strict, Authorization=f"Bearer {token}"))[0] == 200


async def test_a_database_that_does_not_answer(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PATIENCE", 0.2)
    holder = await asyncpg.connect(dsn)
    try:
        async with serve(database) as served, holder.transaction():
            await holder.execute("lock table machines in access exclusive mode")
            status, _, text = await scrape(served)
    finally:
        await holder.close()
    assert status == 200
    found = samples(text)
    assert value(found, "deployd_database_up") == 0
    assert not any(name == "deployd_machines" for name, _ in found)
    assert value(found, "deployd_database_pool_limit") == 8
