"""Processes that nobody knows, and the room for logs."""

from __future__ import annotations

import pytest

from deployd.drivers.process import leftover
from deployd.model.finding import Level
from tests.integration.drivers.process.place import Place


async def test_processes(place: Place) -> None:
    release = place.release("sleep 600")
    await place.apply(release)
    known = await place.driver().examine([place.service.service_id])
    assert [(one.check, one.level) for one in known] == [("processes", Level.OK), ("logs", Level.OK)]
    assert known[0].summary == "all that runs is of known services (1)"
    [left, _] = await place.driver().examine([])
    assert left.level is Level.WARNING
    assert left.remedy.endswith(f"kill {place.shim(release)}")
    assert left.evidence == f"process {place.shim(release)}: cart-1, in {place.folder(release)}"
    await place.destroy()
    [ended, _] = await place.driver().examine([])
    assert (ended.level, ended.summary[-3:]) == (Level.OK, "(0)")


async def test_room_for_logs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftover, "SCARCE", 2**80)
    assert (await place.driver().examine([]))[1].level is Level.WARNING
    monkeypatch.setattr(leftover, "NONE_LEFT", 2**80)
    assert (await place.driver().examine([]))[1].level is Level.WRONG
