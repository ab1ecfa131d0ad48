from __future__ import annotations

import time
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    get_introspection_query,
)

from deployd.graphql.schema import SCHEMA, main

FILE = Path(__file__).parents[3] / "schema.graphql"


def test_the_exported_schema_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(FILE)]) == 0, "python -m deployd.graphql.schema > schema.graphql"
    assert main([]) == 0
    assert capsys.readouterr().out == FILE.read_text()


def test_a_schema_that_differs_or_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "schema.graphql"
    assert main(["--check", str(other)]) == 1
    other.write_text(FILE.read_text() + "\n")
    assert main(["--check", str(other)]) == 1
    assert "is not the schema" in capsys.readouterr().err
    assert main(["--nonsense"]) == 2


def test_everything_is_described() -> None:
    missing: list[str] = []
    builtin = {"String", "Int", "Boolean", "ID", "Float"}
    for name, one in build_schema(FILE.read_text()).type_map.items():
        if name.startswith("__") or name in builtin:
            continue
        if not one.description:
            missing.append(name)
        if isinstance(one, (GraphQLObjectType, GraphQLInputObjectType)):
            for field, definition in one.fields.items():
                if not definition.description:
                    missing.append(f"{name}.{field}")
                for argument, meaning in getattr(definition, "args", {}).items():
                    if not meaning.description:
                        missing.append(f"{name}.{field}({argument})")
        elif isinstance(one, GraphQLEnumType):
            missing += [f"{name}.{value}" for value, each in one.values.items() if not each.description]
        else:
            assert isinstance(one, (GraphQLScalarType, GraphQLUnionType))
    assert missing == []


async def refused(query: str) -> list[str]:
    answer = await SCHEMA.execute(query)
    return [error.message for error in answer.errors or ()]


async def test_introspection_is_on() -> None:
    answer = await SCHEMA.execute(get_introspection_query())
    assert answer.errors is None
    assert answer.data is not None
    assert answer.data["__schema"]["queryType"]["name"] == "Query"


async def test_many_aliases_are_refused_also_through_fragments() -> None:
    names = " ".join(f"a{i}: name" for i in range(31))
    assert await refused(f"{{ worlds {{ {names} }} }}") == ["the query has more than 30 aliases"]
    spread = "fragment F on World { a: name b: ephemeral } " + "{ " + "worlds { ...F } " * 16 + "}"
    assert await refused(spread) == ["the query has more than 30 aliases"]


async def test_deep_queries_are_refused() -> None:
    deep = "{ worlds " * 1 + "{ services " * 13 + "{ name }" + "}" * 14
    assert "the query is deeper than 12 levels" in await refused(deep)


async def test_long_documents_are_refused() -> None:
    messages = await refused("{" + " version" * 2001 + "}")
    assert len(messages) == 1
    assert "2000" in messages[0]


async def test_fragments_that_multiply_take_no_time() -> None:
    """Each of a hundred fragments spreads the next one twice: measured naively, for ever."""
    levels = 100
    parts = [f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(levels)]
    document = " ".join([*parts, f"fragment F{levels} on Query {{ a: version }}", "{ ...F0 }"])
    began = time.monotonic()
    assert "the query has more than 30 aliases" in await refused(document)
    assert time.monotonic() - began < 5


async def test_unknown_and_circular_fragments_are_the_callers_mistake() -> None:
    assert await refused("{ ...Nowhere }") == ["Unknown fragment 'Nowhere'."]
    answer = await SCHEMA.execute("fragment A on Query { ...A } { ...A }")
    assert answer.errors is not None
    assert {error.extensions["code"] for error in answer.errors if error.extensions} == {"BAD_REQUEST"}


async def test_a_document_nested_too_deeply_is_the_callers_mistake() -> None:
    chain = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} }}" for i in range(240))
    for document in (
        "{ worlds" + "{ a" * 600 + "}" * 601,
        "{ world(name: " + "[" * 700 + "]" * 700 + ") { name } }",
        f"{chain} fragment F240 on Query {{ nothing }} {{ ...F0 }}",
    ):
        answer = await SCHEMA.execute(document)
        assert answer.errors is not None
        assert [error.extensions for error in answer.errors] == [{"code": "BAD_REQUEST"}], document
