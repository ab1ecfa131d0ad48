"""One home for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.drivers.postgres.place import Place
from tests.integration.drivers.postgres.place import place as make_place


@pytest.fixture
def place() -> Iterator[Place]:
    with make_place() as made:
        yield made
