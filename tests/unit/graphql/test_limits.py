"""Each limit of an operation, at its edge."""

from __future__ import annotations

import re
import time
from pathlib import Path

from graphql import DocumentNode, OperationDefinitionNode, parse

from deployd.cli import documents
from deployd.graphql import cost, limits, measure
from deployd.graphql.schema import SCHEMA

ROOT = Path(__file__).parents[3]


def price(text: str, **variables: object) -> int:
    document: DocumentNode = parse(text)
    operation = next(one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return cost.cost_of(SCHEMA._schema, document, operation, variables)


async def refused(query: str, **variables: object) -> list[str]:
    answer = await SCHEMA.execute(query, variable_values=variables)
    return [error.message for error in answer.errors or ()]


def test_objects_cost_one_and_scalars_nothing() -> None:
    assert price("{ version }") == 0
    assert price('{ service(world: "w", name: "s") { id name state } }') == 1
    assert price('{ service(world: "w", name: "s") { id serving { id } previous { id } } }') == 3


def test_lists_multiply_by_first() -> None:
    within = "{ nodes { id release { id } } }"
    begin = 'service(world: "w", name: "s")'
    assert price(f"{{ {begin} {{ deployments(first: 3) {within} }} }}") == 2 + 3 * 2
    assert price(f"{{ {begin} {{ deployments {within} }} }}") == 2 + 20 * 2, "the schema's default"
    sent = f"query ($n: Int! = 7) {{ {begin} {{ deployments(first: $n) {within} }} }}"
    assert price(sent, n=5) == 2 + 5 * 2
    assert price(sent) == 2 + 7 * 2
    assert price(sent, n=-5) == 2 + 1 * 2, "nothing is ever cheaper than free"
    assert price(sent, n="many") == 2 + cost.LIST * 2


def test_lists_without_first_count_as_ten() -> None:
    assert price("{ worlds { name } }") == 10
    assert price("{ worlds { capabilities { name } } }") == 10 * (1 + 10)


def test_a_page_hands_its_first_down() -> None:
    assert (
        price(
            '{ transitions(world: "w", first: 50) { ... on TransitionBatch { cursor transitions { seq } } } }'
        )
        == 1 + 50
    )
    assert (
        price(
            '{ transitions(world: "w") { ... on TransitionBatch { transitions { seq reason { code } } } } }'
        )
        == 1 + 100 * 2
    )
    assert (
        price(
            '{ logs(world: "w", service: "s", first: 9) { ...F } } fragment F on LogBatch { lines { text } }'
        )
        == 10
    )


def test_fragments_aliases_and_introspection() -> None:
    spread = (
        "{ a: worlds { ...F } b: worlds { ...F ... { name } } } fragment F on World { capabilities { name } }"
    )
    assert price(spread) == 2 * 10 * (1 + 10)
    assert price("{ __schema { types { fields { name } } } worlds { __typename } }") == 10
    assert (
        price('mutation { cancel(id: "1") { ... on Change { deployments { id } } ... on Problem { code } } }')
        == 11
    )
    assert (
        price('subscription { transitions(world: "w") { ... on TransitionBatch { transitions { seq } } } }')
        == 11
    )


async def test_what_costs_too_much_is_refused_with_its_cost() -> None:
    within = "deployments(first: 100) { nodes { id release { id } } }"
    query = f"{{ worlds {{ services(first: 10) {{ nodes {{ {within} }} }} }} }}"
    answer = await SCHEMA.execute(query)
    assert answer.data is None
    assert answer.errors is not None
    (error,) = answer.errors
    assert error.message == f"the query costs 20220, and {cost.LIMIT} is the most"
    assert error.extensions is not None
    assert {"code": "TOO_COSTLY", "cost": 20220, "limit": 20000}.items() <= error.extensions.items()
    many = " ".join(
        f't{i}: transitions(world: "w", first: 1000) {{ ... on TransitionBatch {{ transitions {{ seq }} }} }}'
        for i in range(20)
    )
    assert await refused(f"{{ {many} }}") == ["the query costs 20020, and 20000 is the most"]
    assert (
        await refused(
            f"query A {{ __typename }} query B {{ {many} }}",
        )
        == []
    )


async def test_the_cost_counts_what_variables_say() -> None:
    within = "deployments(first: $n) { nodes { id } }"
    query = f"query ($n: Int!) {{ worlds {{ services(first: 10) {{ nodes {{ {within} }} }} }} }}"
    assert await refused(query, n=200) == ["the query costs 20220, and 20000 is the most"]


async def test_repetitions_are_refused_before_they_take_time() -> None:
    """graphql-core compares each with each."""
    said = [f"the query names one field more than {measure.REPEATS} times in one place"]
    assert await refused("{" + " __typename" * measure.REPEATS + "}") == []
    for one in (" version", " worlds { capabilities { name } }", " a: version", " ...F", " ... { version }"):
        began = time.process_time()
        document = "{" + one * 200 + "} fragment F on Query { version }"
        messages = await refused(document)
        assert messages == said or messages == ["the query has more than 30 aliases", *said], one
        assert time.process_time() - began < 1


async def test_directives_are_counted() -> None:
    assert await refused("{" + " __typename @include(if: true)" * 20 + "}") == []
    said = [f"the query has more than {measure.DIRECTIVES} directives"]
    assert await refused("{ version" + " @skip(if: false)" * 31 + "}") == said
    assert await refused("query" + " @nothing" * 31 + "{ version }") == said
    spread = "fragment F on Query { version @skip(if: false) @include(if: true) } { " + "...F " * 16 + "}"
    assert await refused(spread) == said


async def test_variables_have_a_size() -> None:
    query = "query ($a: Boolean! = true) { version @include(if: $a) }"
    room = limits.VARIABLES - len('{"x":""}')
    assert await refused(query, x="a" * (room + 1)) == [
        f"the query has more than {limits.VARIABLES} bytes of variables"
    ]
    assert "bytes of variables" not in "".join(await refused(query, x="a" * room))


async def test_absurd_nesting_ends_a_stream_with_an_error_too() -> None:
    """A websocket's operation would end without a word otherwise."""
    chain = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} }}" for i in range(240))
    document = f"{chain} fragment F240 on Query {{ nothing }} {{ ...F0 }}"
    results = [one async for one in await SCHEMA.stream(document)]
    assert len(results) == 1
    assert [error.extensions for error in results[0].errors or ()] == [{"code": "BAD_REQUEST"}]


def test_what_the_command_line_asks_is_far_below_the_limit() -> None:
    found = [
        (name, value)
        for name, value in vars(documents).items()
        if isinstance(value, str) and re.match(r"\s*(query|mutation|subscription)\b", value)
    ]
    assert found
    assert max(price(value) for _, value in found) < cost.LIMIT / 2


def test_every_number_is_documented() -> None:
    text = (ROOT / "docs" / "graphql.md").read_text().replace(",", "")
    numbers = [measure.DEPTH, measure.ALIASES, measure.DIRECTIVES, measure.REPEATS]
    for number in (*numbers, limits.TOKENS, limits.VARIABLES // 1024, cost.LIMIT, cost.LIST):
        assert re.search(rf"\b{number} ", text), number
