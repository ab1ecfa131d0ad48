import asyncio
import os
import signal

import pytest

from deployd.cli.interrupts import Interrupted, Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_what_is_guarded_once_it_has_cleaned_up(number: signal.Signals):
    happened: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            happened.append("cleaned up")

    with Interrupts() as interrupts, pytest.raises(Interrupted):
        await interrupts.guard(work())
    assert happened == ["cleaned up"]


async def test_each_guard_takes_one_signal():
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(30)

    async def result() -> int:
        return 7

    with Interrupts() as interrupts:
        for _ in range(2):
            with pytest.raises(Interrupted):
                await interrupts.guard(work())
        assert await interrupts.guard(result()) == 7


async def test_being_cancelled_is_no_interrupt():
    async def work() -> None:
        await asyncio.sleep(30)

    with Interrupts() as interrupts:
        outer = asyncio.create_task(interrupts.guard(work()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer


async def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def work() -> str:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)
            return "went on"

        with Interrupts() as interrupts:
            assert await interrupts.guard(work()) == "went on"
    finally:
        signal.signal(signal.SIGHUP, before)
