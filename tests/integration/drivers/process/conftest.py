from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.drivers.process.place import Place
from tests.integration.drivers.process.place import place as make_place


@pytest.fixture
def place() -> Iterator[Place]:
    with make_place() as made:
        yield made
