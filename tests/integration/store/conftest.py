"""Homes for embedded servers: new ones, and one that was used before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.store.servers import kill, open_folder, processes, serving


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can pass; whatever still runs on it is killed afterwards."""
    with open_folder() as path:
        yield path


@pytest.fixture
def home(folder: Path) -> Path:
    """Where nothing is yet."""
    return folder / "postgres"


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A home whose server was started once. Tests leave it whole and stopped."""
    with open_folder() as path:
        with serving(path / "postgres"):
            pass
        yield path / "postgres"


@pytest.fixture
def used(shared: Path) -> Iterator[Path]:
    """The shared home, with an empty log; whatever still runs on it is killed afterwards."""
    kill(*processes(f"-D {shared}"))
    (shared / "postgres.log").write_bytes(b"")
    yield shared
    kill(*processes(f"-D {shared}"))
