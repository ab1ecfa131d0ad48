"""What all tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.warm import COMMAND_LINE


@pytest.fixture(scope="session", autouse=True)
def command_line() -> Iterator[None]:
    """Nothing of it is left."""
    yield
    COMMAND_LINE.close()
