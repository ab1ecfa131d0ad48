"""Every query is valid SQL on the migrated schema."""

from __future__ import annotations

import asyncpg
import pytest

from deployd.store.queries import QUERIES
from tests.conftest import at


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_every_query_can_be_prepared(postgres: str, name: str) -> None:
    # The template itself: nothing is written, so none needs a copy of its own.
    connection = await asyncpg.connect(at(postgres, "template"))
    try:
        await connection.prepare(QUERIES[name])
    finally:
        await connection.close()


def test_there_are_queries() -> None:
    assert {"claim", "commit", "wait_for", "read_transitions"} <= set(QUERIES)
