"""Cursors whose transitions are not kept any more: partitions are dropped, and everybody learns of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployd.graphql import feed
from deployd.graphql.cursor import Cursor
from deployd.store import partitions, worlds
from deployd.store.database import Database
from tests.integration.web.server import Served

READ = """query ($after: Cursor) { transitions(world: "local", after: $after) { __typename
    ... on TransitionBatch { cursor transitions { seq } }
    ... on CursorExpired { code message remedy cursor world { name services { nodes { name } } } } } }"""
FOLLOW = READ.replace("query", "subscription")
ONE = """subscription ($id: ID!, $after: Cursor) { deployment(id: $id, after: $after) { __typename
    ... on DeploymentEvent { cursor deployment { state } transitions { toState } }
    ... on CursorExpired { code cursor world { name } } } }"""
HISTORY = """query ($after: Cursor, $order: Order!) {
    history(world: "local", order: $order, first: 2, after: $after) {
        nodes { seq } pageInfo { hasNextPage endCursor } } }"""


async def age(db: Database, up_to: int, months: int = 2) -> datetime:
    """Move the transitions up to this one into a partition of some months ago; the end of its month."""
    first = (datetime.now(UTC).replace(day=1) - timedelta(days=28 * months)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    await partitions.ensure_partitions(db, first)
    await db.pool.execute(
        "update transitions set at = $2::timestamptz + seq * interval '1 second' where seq <= $1",
        up_to,
        first,
    )
    return first + timedelta(days=32)


async def seqs(served: Served, after: str | None) -> Any:
    return (await served.data(READ, after=after))["transitions"]


async def test_what_is_dropped_is_known(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    db = served.db
    made = served.deployment()
    await served.committer.store(births=(made, *(served.deployment() for _ in range(4))))
    start = (await served.data('{ world(name: "system") { cursor } }'))["world"]["cursor"]
    old = (await served.data(READ.replace("after: $after)", "after: $after, first: 2)")))["transitions"]
    kept = (await served.data(READ.replace("after: $after)", "after: $after, first: 3)")))["transitions"]
    end = await age(db, 3)
    old = Cursor(served.world_id, 2, end - timedelta(days=32)).encode()
    edge = Cursor(served.world_id, 3, end - timedelta(days=32)).encode()

    # Too young a moment drops nothing: only whole partitions go.
    assert await partitions.drop_transitions(db, end - timedelta(days=20)) == []
    assert await worlds.horizon(db, served.world_id) == 0
    assert [one["seq"] for one in (await seqs(served, old))["transitions"]] == [3, 4, 5]
    assert len(await partitions.drop_transitions(db, end)) == 1
    assert await partitions.drop_transitions(db, end) == []
    assert await worlds.horizon(db, served.world_id) == 3
    system = await worlds.get(db, "system")
    assert system is not None
    assert await worlds.horizon(db, system.world_id) == 0

    # Asked once: what is kept is told as before, without a cursor and from the horizon on.
    for cursor in (None, edge, kept["cursor"]):
        assert [one["seq"] for one in (await seqs(served, cursor))["transitions"]] == [4, 5]
    await served.committer.store(births=(served.service("cart"),))
    expired = await seqs(served, old)
    assert (expired["__typename"], expired["code"]) == ("CursorExpired", "CURSOR_EXPIRED")
    assert expired["world"] == {"name": "local", "services": {"nodes": [{"name": "cart"}]}}
    assert expired["remedy"]
    assert (await seqs(served, expired["cursor"]))["transitions"] == []
    assert start

    # Followed: told once, and then on from there.
    monkeypatch.setattr(feed, "POLL", 0.05)
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW, {"after": old})
        told = (await ws.next())["data"]["transitions"]
        assert told["__typename"] == "CursorExpired"
        await served.committer.store(births=(served.deployment(),))
        batch = (await ws.next())["data"]["transitions"]
        assert [one["seq"] for one in batch["transitions"]] == [7]
        await ws.send(type="complete", id="1")

        await ws.subscribe(ONE, {"id": str(made.id), "after": old}, id="2")
        told = (await ws.next())["data"]["deployment"]
        assert (told["code"], told["world"]) == ("CURSOR_EXPIRED", {"name": "local"})
        event = (await ws.next())["data"]["deployment"]
        assert (event["deployment"], event["transitions"]) == ({"state": "QUEUED"}, [])
        await served.move(made.id, ("start", "fetching"))
        event = (await ws.next())["data"]["deployment"]
        assert event["transitions"] == [{"toState": "fetching"}]


async def test_one_who_reads_too_slowly_learns_of_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", 0.05)
    monkeypatch.setattr("deployd.graphql.following.BATCH", 2)
    await served.committer.store(births=tuple(served.deployment() for _ in range(6)))
    end = await age(served.db, 5)
    async with served.connect() as ws:
        await ws.init()
        await ws.subscribe(FOLLOW, {"after": Cursor(served.world_id).encode()})
        first = (await ws.next())["data"]["transitions"]
        assert [one["seq"] for one in first["transitions"]] == [1, 2]
    assert await partitions.drop_transitions(served.db, end)
    again = await seqs(served, first["cursor"])
    assert again["__typename"] == "CursorExpired"


async def test_history_goes_both_ways_as_far_as_it_is_kept(served: Served) -> None:
    service = served.service("cart")
    own = served.deployment("cart", service.id)
    await served.committer.store(births=(service,))
    await served.committer.store(births=(own,))
    await served.committer.store(births=tuple(served.deployment() for _ in range(3)))

    async def pages(order: str) -> list[int]:
        found: list[int] = []
        after = None
        while True:
            page = (await served.data(HISTORY, order=order, after=after))["history"]
            found += [one["seq"] for one in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found

    assert await pages("NEWEST_FIRST") == [5, 4, 3, 2, 1]
    assert await pages("OLDEST_FIRST") == [1, 2, 3, 4, 5]
    of = """query ($id: ID!) { service: history(world: "local", service: "cart") { nodes { seq machineId } }
        machine: history(world: "local", machine: $id) { nodes { seq } } }"""
    data = await served.data(of, id=str(own.id))
    assert [one["seq"] for one in data["service"]["nodes"]] == [2, 1]
    assert [one["seq"] for one in data["machine"]["nodes"]] == [2]
    first = (await served.data(HISTORY, order="OLDEST_FIRST"))["history"]["pageInfo"]["endCursor"]
    assert await partitions.drop_transitions(served.db, await age(served.db, 3))
    assert await pages("NEWEST_FIRST") == [5, 4]
    assert await pages("OLDEST_FIRST") == [4, 5]
    answer = await served.post(HISTORY, None, order="OLDEST_FIRST", after=first)
    assert answer["errors"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
