from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from deployd.drivers import registry
from deployd.drivers.api import Deployer, DriverContext
from deployd.errors import InputError, NotFound, Terminal


def offer(monkeypatch: pytest.MonkeyPatch, **drivers: str) -> None:
    """These are the drivers that are installed."""
    entries = EntryPoints(EntryPoint(name, value, registry.GROUP) for name, value in drivers.items())

    def found(**wanted: Any) -> EntryPoints:
        return entries.select(**wanted)

    monkeypatch.setattr(registry, "entry_points", found)


def test_the_process_driver_is_found(tmp_path: Path) -> None:
    assert "deploy:process" in registry.known()
    driver = registry.create("deploy:process", {}, DriverContext(tmp_path / "home", "here"))
    assert isinstance(driver, Deployer)
    assert driver.supports.runs == "tree"
    assert not (tmp_path / "home").exists()


def test_an_unknown_name_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, one="json:loads", two="json:dumps")
    with pytest.raises(NotFound) as raised:
        registry.load("three")
    assert "`three`" in raised.value.message
    assert "`one`, `two`" in raised.value.remedy


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, **{"deploy:process": "no_such_library.driver:create"})
    with pytest.raises(Terminal) as raised:
        registry.load("deploy:process")
    assert "no_such_library" in raised.value.message
    assert "pip install 'deployd[local]'" in raised.value.remedy
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("value", ["json:no_such_name", "json:__doc__"])
def test_a_broken_driver(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    offer(monkeypatch, broken=value)
    with pytest.raises(Terminal, match="broken"):
        registry.load("broken")


def test_drivers_are_imported_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, good="json:loads", bad="no_such_library:x")
    assert registry.known() == ("bad", "good")
    assert registry.load("good") is not None


@pytest.mark.parametrize(
    "settings",
    [
        {"grace": 1},
        {"grace_seconds": "1"},
        {"grace_seconds": -1},
        {"first_port": 9, "last_port": 9},
        {"first_port": 29_000, "last_port": 21_000},
        {"open_files": True},
    ],
)
def test_wrong_settings(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        registry.create("deploy:process", settings, DriverContext(tmp_path, "here"))
    assert raised.value.remedy
