from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.drivers.entrypoint.place import Place, place


@pytest.fixture
async def here() -> AsyncIterator[Place]:
    async with place() as made:
        yield made
