"""Mail is answered at once, whenever it comes: nobody polls here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deployd.engine import worker
from deployd.engine.acts import ACTS
from deployd.engine.context import Context
from deployd.engine.outcome import Outcome, Stay
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store import machines
from deployd.store.commit import Applied, Post, Step
from deployd.store.database import Database
from deployd.store.machines import Claimed
from tests.house import House, house

WATCH = (MachineKind.SERVICE, "watch_over")


@pytest.fixture(autouse=True)
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_POLL", 3600.0)


async def resting(context: Context, machine: Machine) -> Outcome:
    return Stay(after=timedelta(minutes=30))


async def served(home: House) -> UUID:
    """A service that rests."""
    await home.until((await home.deploy(cart="ok")).id, "done")
    service = (await home.service("cart")).id
    async with asyncio.timeout(30):
        while await home.db.pool.fetchval(
            "select exists (select from mailbox) or exists (select from machines where owner is not null)"
        ):
            await asyncio.sleep(0.01)
    return service


async def wake(home: House, service: UUID) -> None:
    await home.committer.store(posts=(Post(home.world_id, service, "wake", "person:ada"),))


async def is_read(home: House) -> None:
    async with asyncio.timeout(10):
        while await home.db.pool.fetchval("select exists (select from mailbox)"):
            await asyncio.sleep(0.01)


async def test_mail_that_comes_while_it_is_let_go(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, acts={**ACTS, WATCH: resting}) as home:
        service, step = await served(home), home.committer.step
        came = 0

        async def slow(outcome: Step) -> Applied | None:
            nonlocal came
            if outcome.machine.id == service and not outcome.keep and not came:
                came += 1
                await wake(home, service)
                await asyncio.sleep(0.2)  # whoever looks now finds it held
            return await step(outcome)

        home.committer.step = slow  # type: ignore[method-assign]
        await wake(home, service)
        async with asyncio.timeout(10):
            while not came:
                await asyncio.sleep(0.01)
        await is_read(home)


async def test_mail_that_comes_while_it_is_claimed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, came = machines.claim, 0

    async with house(database, tmp_path, acts={**ACTS, WATCH: resting}) as home:
        service = await served(home)

        async def slow(*given: Any, **named: Any) -> Sequence[Claimed]:
            nonlocal came
            taken = await claim(*given, **named)
            if any(one.machine.id == service for one in taken) and not came:
                came += 1
                await wake(home, service)
                await asyncio.sleep(0.2)  # it is heard of before the claim is
            return taken

        monkeypatch.setattr(machines, "claim", slow)
        await wake(home, service)
        async with asyncio.timeout(10):
            while not came:
                await asyncio.sleep(0.01)
        await is_read(home)


async def test_what_is_locked_when_it_is_claimed(database: Database, tmp_path: Path) -> None:
    """As by somebody who writes on it that he waits for it: a claim passes over it."""
    async with house(database, tmp_path, acts={**ACTS, WATCH: resting}) as home:
        service = await served(home)
        async with database.pool.acquire() as other, other.transaction():
            await other.execute("select from machines where id = $1 for no key update", service)
            await wake(home, service)
            await asyncio.sleep(0.3)
        await is_read(home)
