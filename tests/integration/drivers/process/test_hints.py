"""Supervisors say that something changed, to the one who listens."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing

import pytest

from tests.integration.drivers.process.place import Place
from tests.integration.drivers.process.place import place as make_place

PATIENCE = 30


async def listening(place: Place) -> None:
    async with asyncio.timeout(PATIENCE):
        while not (place.home / "hints.sock").exists():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("prefix", ["deployd-test-", "deployd-test-" + "long" * 30])
async def test_changes_are_hinted(prefix: str) -> None:
    with make_place(prefix) as place:
        wanted = (7, place.service.service_id)
        async with aclosing(place.driver().watch()) as watch:
            hint = asyncio.ensure_future(anext(watch))
            await listening(place)
            await place.apply(place.release("sleep 600"))
            assert await asyncio.wait_for(hint, PATIENCE) == wanted
            await place.destroy()
            assert await asyncio.wait_for(anext(watch), PATIENCE) == wanted
        assert not (place.home / "hints.sock").exists()


async def test_a_second_listener_waits_for_its_turn(place: Place) -> None:
    async with aclosing(place.driver().watch()) as first, aclosing(place.driver().watch()) as second:
        hint = asyncio.ensure_future(anext(first))
        await listening(place)
        waiting = asyncio.ensure_future(anext(second))
        await place.apply(place.release("sleep 600"))
        await asyncio.wait_for(hint, PATIENCE)
        assert not waiting.done()
        await first.aclose()
        await listening(place)
        await place.destroy()
        assert await asyncio.wait_for(waiting, PATIENCE) == (7, place.service.service_id)


async def test_only_the_socket_s_owner_may_write(place: Place) -> None:
    async with aclosing(place.driver().watch()) as watch:
        hint = asyncio.ensure_future(anext(watch))
        await listening(place)
        assert (place.home / "hints.sock").stat().st_mode & 0o777 == 0o600
        await place.apply(place.release("sleep 600"))
        await asyncio.wait_for(hint, PATIENCE)


async def test_a_listener_that_ends_is_forgotten_before_its_socket_is_closed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the loop would forget whoever has its number by then."""
    forgotten: list[int] = []
    loop = asyncio.get_running_loop()
    remove = loop.remove_reader

    def noted(one: socket.socket) -> bool:
        forgotten.append(one.fileno())
        return remove(one)

    async with aclosing(place.driver().watch()) as watch:
        hint = asyncio.ensure_future(anext(watch))
        await listening(place)
        await place.apply(place.release("sleep 600"))
        await asyncio.wait_for(hint, PATIENCE)
        monkeypatch.setattr(loop, "remove_reader", noted)
    assert len(forgotten) == 1
    assert forgotten[0] >= 0
