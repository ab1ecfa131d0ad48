"""What goes on with rollouts while a deployd is killed; each may be begun twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from deployd.model.facts import DeploymentFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.spec import RolloutSpec
from tests.chaos.deploy_steps import at_rest
from tests.house import ADA, House

Step = Callable[[House], Awaitable[None]]

CANARY = RolloutSpec("canary", steps=(10, 50), interval=0.05)
LONG = RolloutSpec("canary", steps=(10,), interval=60)
KEEPING = RolloutSpec("blue-green", keep=0.3)
RECREATE = RolloutSpec("recreate")


async def serving_alone(home: House, run: str) -> None:
    service = await at_rest(home, "cart", "serving")
    async with asyncio.timeout(20):
        while home.running(service.id) != [f"{(await home.facts('cart')).serving}.{run}"]:
            await asyncio.sleep(0.01)


def begin_rollout(run: str, rollout: RolloutSpec) -> Step:
    async def begin(home: House) -> None:
        await home.roll_out("cart", run, rollout)

    return begin


def end_rollout(run: str, rollout: RolloutSpec, state: str, left: str) -> Step:
    """`left` is what runs then, alone."""

    async def end(home: House) -> None:
        await home.until((await home.roll_out("cart", run, rollout)).id, state)
        await serving_alone(home, left)

    return end


async def begin_wilting(home: House) -> None:
    """A canary that falls ill in its first step."""
    deployment = await split(home)
    if deployment.state == "verifying":
        home.folder.mark("ill")


async def begin_cancelled_canary(home: House) -> None:
    await home.operations.cancel(ADA, (await split(home)).id)


async def split(home: House) -> Machine:
    """Once requests go to two releases."""
    deployment = await home.roll_out("cart", "wilting", LONG)
    while is_before_split(deployment):
        await asyncio.sleep(0.005)
        deployment = await home.get(deployment.id)
    return deployment


def is_before_split(machine: Machine) -> bool:
    return machine.state in _BEFORE and not is_split(machine)


_BEFORE = ("queued", "fetching", "planning", "building", "provisioning", "releasing", "verifying")


def is_split(machine: Machine) -> bool:
    return isinstance(machine.facts, DeploymentFacts) and machine.facts.step is not None


def is_keeping(machine: Machine) -> bool:
    return isinstance(machine.facts, ServiceFacts) and machine.facts.kept is not None
