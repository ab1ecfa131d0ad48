"""Supervisors say that something changed, to the one who listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast
from uuid import UUID

import pytest

from tests.integration.drivers.process.place import Place, place

Hints = AsyncIterator[tuple[int, UUID]]


@pytest.mark.parametrize("prefix", ["deployd-test-", "deployd-test-" + "long" * 30])
async def test_changes_are_hinted(prefix: str) -> None:
    with place(prefix) as one:
        async with aclosing(cast("object", one.driver().watch())) as watch:  # type: ignore[type-var]
            wanted = (7, one.service.service_id)
            hint = asyncio.ensure_future(anext(watch))
            while not (one.home / "hints.sock").exists():
                await asyncio.sleep(0.01)
            await one.apply(one.release("sleep 600"))
            assert await asyncio.wait_for(hint, 5) == wanted
            await one.destroy()
            assert await asyncio.wait_for(anext(watch), 5) == wanted
        assert not (one.home / "hints.sock").exists()


async def test_a_second_listener_waits_for_its_turn(place: Place) -> None:
    first, second = place.driver().watch(), place.driver().watch()
    asked = asyncio.ensure_future(anext(first))
    while not (place.home / "hints.sock").exists():
        await asyncio.sleep(0.01)
    waiting = asyncio.ensure_future(anext(second))
    release = place.release("sleep 600")
    await place.apply(release)
    await asyncio.wait_for(asked, 5)
    assert not waiting.done()
    await first.aclose()  # type: ignore[attr-defined]
    while not (place.home / "hints.sock").exists():
        await asyncio.sleep(0.01)
    await place.destroy()
    assert await asyncio.wait_for(waiting, 5) == (7, place.service.service_id)
    await second.aclose()  # type: ignore[attr-defined]
