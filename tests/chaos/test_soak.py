"""Short soaks with fixed seeds; `make chaos` runs as many others as it has time for."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.chaos.schedule import draw
from tests.chaos.soak import soak

WHOLE = os.environ.get("DEPLOYD_CHAOS") == "whole"
MINUTES = float(os.environ.get("DEPLOYD_CHAOS_MINUTES", "10"))
SEED = int(os.environ.get("DEPLOYD_CHAOS_SEED", "0"))


def test_a_schedule_follows_from_its_seed_alone() -> None:
    assert draw(7, 8.0) == draw(7, 8.0)
    assert draw(7, 8.0) != draw(8, 8.0)
    kinds = {fault.kind for seed in range(100) for fault in draw(seed, 8.0).faults}
    assert len(kinds) == 13


@pytest.mark.parametrize("seed", [3940])
async def test_a_soak(seed: int, tmp_path: Path) -> None:
    """One with a full disk, where a small one can be mounted."""
    await soak(SEED or seed, 5.0, kept=tmp_path)


@pytest.mark.skipif(not WHOLE, reason="long: `make chaos` runs it")
async def test_many_soaks(tmp_path: Path) -> None:
    """One seed after the other; a failure names its own."""
    begun, seed = time.monotonic(), SEED or int(time.time()) % 1_000_000
    while time.monotonic() - begun < MINUTES * 60:
        await soak(seed, kept=tmp_path)
        seed += 1
