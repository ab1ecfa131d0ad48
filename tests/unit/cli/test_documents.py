from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate

from deployd.cli import documents
from deployd.cli.keyed import keyed

SCHEMA = build_schema((Path(__file__).parents[3] / "schema.graphql").read_text())
TEXTS = {
    f"{name}{suffix}": text
    for name, value in vars(documents).items()
    if name.isupper() and not name.startswith("_")
    for suffix, text in (value if isinstance(value, dict) else {"": value}).items()
}
MUTATIONS = [name for name, text in TEXTS.items() if text.startswith("mutation")]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_schema_has_what_is_asked_for(name: str):
    if name == "SLUGS" and "slugs" not in SCHEMA.type_map["World"].fields:
        pytest.skip("the catalog is not in the API yet")
    assert [error.message for error in validate(SCHEMA, parse(TEXTS[name]))] == []


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_every_mutation_goes_under_a_key(name: str):
    whole = keyed(TEXTS[name], {"input": {"world": "local"}})
    assert whole is not None
    text, variables = whole
    document = parse(text)
    assert [error.message for error in validate(SCHEMA, document)] == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    declared = {one.variable.name.value for one in operation.variable_definitions}
    assert "idempotencyKey" in declared or variables["input"]["idempotencyKey"]


def test_a_key_is_new_each_time_and_one_that_is_given_stays():
    asked = documents.CANCEL, {"id": "x"}
    first, second = keyed(*asked), keyed(*asked)
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
    assert first[1]["idempotencyKey"] != second[1]["idempotencyKey"]
    kept = keyed(documents.DEPLOY, {"input": {"world": "local", "idempotencyKey": "mine"}})
    assert kept is not None
    assert kept[1]["input"] == {"world": "local", "idempotencyKey": "mine"}
    assert keyed("query { version }", {}) is None
