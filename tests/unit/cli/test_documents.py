from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from deployd.cli import documents

SCHEMA = build_schema((Path(__file__).parents[3] / "schema.graphql").read_text())
TEXTS = {
    f"{name}{suffix}": text
    for name in documents.__all__
    for suffix, text in (
        getattr(documents, name)
        if isinstance(getattr(documents, name), dict)
        else {"": getattr(documents, name)}
    ).items()
}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_schema_has_what_is_asked_for(name: str):
    assert [error.message for error in validate(SCHEMA, parse(TEXTS[name]))] == []
