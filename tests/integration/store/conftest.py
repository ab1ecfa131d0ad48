"""Homes for embedded servers: new ones, and one that was used before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployd.postgres.serving import title_of
from tests.integration.store.servers import kill, open_folder, processes, serving, wait_until


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
        if sys.platform == "linux":
            # It ends by itself; once its home is moved, nobody would find one that still does.
            wait_until(lambda: not processes(f"-D {path}"))
        yield path / "postgres"


@pytest.fixture
def used(shared: Path) -> Iterator[Path]:
    """The shared home, with an empty log; whatever still runs on it is killed afterwards."""
    children = f"postgres: {title_of(shared)}: "
    kill(*processes(f"-D {shared}"), *processes(children))
    (shared / "postgres.log").write_bytes(b"")
    yield shared
    kill(*processes(f"-D {shared}"), *processes(children))
