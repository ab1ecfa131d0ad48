"""GraphQL over HTTP: what is accepted, and with which status it is answered. npm's audits say more."""

from __future__ import annotations

from typing import Any

import pytest

from deployd.web import protocol
from deployd.web.operation import Media, media
from tests.integration.web.server import Served

ALL = (Media.JSON, Media.GRAPHQL, Media.EVENTS, Media.PAGE)
FOLLOW = 'subscription { transitions(world: "local") { ... on TransitionBatch { cursor } } }'


def test_the_best_of_what_is_accepted_is_answered() -> None:
    for accept, expected in {
        "": Media.JSON,
        "*/*": Media.JSON,
        "image/png": Media.JSON,
        "application/graphql-response+json": Media.GRAPHQL,
        "application/graphql-response+json, application/json;q=0.9": Media.GRAPHQL,
        "application/json; q=0.5, application/graphql-response+json; q=0.9": Media.GRAPHQL,
        "application/json, text/event-stream": Media.JSON,
        "text/event-stream": Media.EVENTS,
        "TEXT/EVENT-STREAM;charset=utf-8": Media.EVENTS,
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": Media.PAGE,
        "text/html;q=0": Media.JSON,
        "text/html;q=nonsense": Media.JSON,
        ",;,": Media.JSON,
    }.items():
        assert media(accept, ALL) is expected, accept
    assert media("text/html", ALL[:3]) is Media.JSON, "a POST has no page"


async def answered(served: Served, query: str, accept: Media, **variables: object) -> tuple[int, str, Any]:
    async with served.session.post(
        f"{served.url}/graphql",
        json={"query": query, "variables": variables},
        headers={"Accept": accept.value},
    ) as response:
        return response.status, response.content_type, await response.json(content_type=None)


async def test_the_status_says_whether_it_was_executed(served: Served) -> None:
    wrong = "query ($n: String!) { world(name: $n) { name } }"
    for query, variables, status in (
        ("{ version }", {}, 200),
        ("{", {}, 400),
        ("{ nothing }", {}, 400),
        (wrong, {"n": 1}, 400),
        (
            "{ worlds { services { nodes { deployments(first: 100) { nodes { release { id } } } } } } }",
            {},
            400,
        ),
    ):
        for accept, expected in ((Media.GRAPHQL, status), (Media.JSON, 200)):
            seen, type_, answer = await answered(served, query, accept, **variables)
            assert (seen, type_) == (expected, accept.value), query
            assert ("data" in answer) == (status == 200), "what was not executed has no data"
            assert ("errors" in answer) == (status != 200)

    # What was executed and failed has data, null though it is.
    query = '{ transitions(world: "nowhere") { ... on TransitionBatch { cursor } } }'
    status, _, answer = await answered(served, query, Media.GRAPHQL)
    assert (status, answer["data"]) == (200, None)
    assert answer["errors"][0]["path"] == ["transitions"]


async def test_what_needs_another_way_is_told_which(served: Served) -> None:
    status, _, answer = await answered(served, FOLLOW, Media.JSON)
    assert (status, answer["code"]) == (400, "BAD_REQUEST")
    assert "text/event-stream" in answer["message"]
    status, _, answer = await answered(served, "fragment F on Query { version }", Media.JSON)
    assert (status, answer["code"]) == (400, "BAD_REQUEST")


async def test_one_operation_too_many_ends_alone(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "OPERATIONS", 3)
    async with served.connect() as ws:
        await ws.init()
        for number in range(3):
            await ws.subscribe(FOLLOW, id=f"open{number}")
            assert (await ws.receive())["type"] == "next"
        await ws.subscribe(FOLLOW, id="more")
        message = await ws.receive()
        assert (message["type"], message["id"]) == ("error", "more")
        assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        await ws.send(type="complete", id="open0")
        await ws.subscribe(FOLLOW, id="more")
        message = await ws.receive()
        assert (message["type"], message["id"]) == ("next", "more")


async def test_a_costly_operation_is_refused_on_a_websocket_too(served: Served) -> None:
    async with served.connect() as ws:
        await ws.init()
        for query, variables, code in (
            (
                "{ worlds { services { nodes { deployments(first: 100) { nodes { release { id } } } } } } }",
                {},
                "TOO_COSTLY",
            ),
            ("query ($x: String) { world(name: $x) { name } }", {"x": "a" * 600_000}, "BAD_REQUEST"),
            ("query A { version }" + " query B { a: nothing }", {}, "BAD_REQUEST"),
        ):
            await ws.subscribe(query, variables)
            message = await ws.receive()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["code"] == code
