"""Pruning beside another one that prunes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployd.drivers.process.client import Client
from deployd.drivers.process.environments import Environments


@pytest.mark.parametrize("moment", ["before it looks", "before it removes"])
def test_what_another_one_removed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    for name in "abc":
        folder = tmp_path / "environments" / (name * 32)
        folder.mkdir(parents=True)
        os.utime(folder, (1, 1))
    there: list[Environments] = [Environments(Client(tmp_path))]
    where: object
    where, name = (Client, "instance") if moment == "before it looks" else (time, "monotonic_ns")
    real: Callable[..., Any] = getattr(where, name)

    def beside(*arguments: Any) -> Any:
        if there:
            assert there.pop().prune() == 3
        return real(*arguments)

    monkeypatch.setattr(where, name, beside)
    Environments(Client(tmp_path)).prune()
    assert not there
    assert list((tmp_path / "environments").iterdir()) == []
