"""What all tests of the command line share."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployd.store.embedded import EmbeddedPostgres
from tests.acceptance.warm import COMMAND_LINE
from tests.conftest import scratch


@pytest.fixture(scope="session", autouse=True)
def command_line() -> Iterator[None]:
    """Nothing of it is left."""
    yield
    COMMAND_LINE.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """What an embedded Postgres leaves that was started and stopped: to copy it is quicker than initdb."""
    home = scratch("deployd-cluster-")

    async def make() -> None:
        async with EmbeddedPostgres(home / "postgres"):
            pass

    asyncio.run(make())
    yield home / "postgres"
    shutil.rmtree(home, ignore_errors=True)
