"""What is told of a release that takes the place of another, and how long that may take."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from deployd.drivers.api import Progress, ReleaseSpec, ServiceRef, Wait
from deployd.engine.acts import ACTS
from deployd.engine.context import Context
from deployd.engine.explaining import explain
from deployd.engine.outcome import Outcome
from deployd.model.facts import ServiceFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store.database import Database
from tests.house import House, deployment_facts, house
from tests.standin import StandinDeployer

WATCH = (MachineKind.SERVICE, "watch_over")


async def served(home: House, run: str) -> ServiceFacts:
    await home.until((await home.deploy(cart=run)).id, "done")
    await home.until((await home.service("cart")).id, "serving")
    return await home.facts("cart")


async def test_what_is_replaced_ends_in_its_own_time(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A healthy release is not taken back for the grace period of the one before."""
    apply, ends = StandinDeployer.apply, 0.0

    async def graceful(
        self: StandinDeployer, service: ServiceRef, release: ReleaseSpec, *, alone: bool
    ) -> Progress:
        nonlocal ends
        if alone and release.spec.run == "better":
            ends = ends or time.monotonic() + 5
            if time.monotonic() < ends:
                return Wait(0.1, "within its grace period")
        return await apply(self, service, release, alone=alone)

    monkeypatch.setattr(StandinDeployer, "apply", graceful)
    async with house(database, tmp_path) as home:
        await served(home, "ok")
        home.patience = 2
        change = await home.deploy(cart="better")
        await home.until(change.id, "done", seconds=60)
        assert ends < time.monotonic()
        [deployment] = await home.deployments(change.id)
        assert deployment.state == "succeeded"


async def test_why_says_until_when_it_has_to_be_healthy(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path) as home:
        await served(home, "ok")
        change = await home.deploy(cart="slow")
        async with asyncio.timeout(30):
            while not (made := await home.deployments(change.id)):
                await asyncio.sleep(0.01)
        verifying = await home.until(made[0].id, "verifying")
        said = await explain(database, verifying)
        assert said.deadline_at == deployment_facts(verifying).healthy_by
        assert verifying.deadline_at is not None
        assert said.deadline_at is not None
        assert verifying.deadline_at - said.deadline_at > timedelta(hours=1)


async def test_the_process_that_was_replaced_is_not_told_as_the_one_that_serves(
    database: Database, tmp_path: Path
) -> None:
    """Nobody has looked at the new one yet."""
    watch, looking = ACTS[WATCH], asyncio.Event()

    async def later(context: Context, machine: Machine) -> Outcome:
        assert isinstance(machine.facts, ServiceFacts)
        if machine.facts.previous is not None:
            await looking.wait()
        return await watch(context, machine)

    async with house(database, tmp_path, acts={**ACTS, WATCH: later}) as home:
        await served(home, "ok")
        async with asyncio.timeout(30):
            while (await home.facts("cart")).pid is None:
                await asyncio.sleep(0.01)
        assert (await served(home, "better")).pid is None
        looking.set()
        async with asyncio.timeout(30):
            while (await home.facts("cart")).pid is None:
                await asyncio.sleep(0.01)
