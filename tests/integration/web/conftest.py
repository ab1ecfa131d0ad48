from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deployd.store.database import Database
from tests.integration.web.server import Served, serve


@pytest.fixture
async def served(database: Database) -> AsyncIterator[Served]:
    """A server that trusts this machine."""
    async with serve(database) as made:
        yield made


@pytest.fixture
async def strict(database: Database) -> AsyncIterator[Served]:
    """One that does not."""
    async with serve(database, trust_loopback=False) as made:
        yield made
