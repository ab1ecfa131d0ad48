"""What goes on with one service while a deployd is killed: deployed, approved, suspended, retired."""

from __future__ import annotations

import asyncio

from deployd.model.facts import ChangeFacts, DeploymentFacts
from deployd.model.machine import Machine
from deployd.model.state import Health
from deployd.store import machines
from deployd.store.commit import Post
from tests.house import ADA, House


async def nothing(home: House) -> None:
    """No preparation."""


async def served(home: House) -> None:
    """A service that serves `cart`'s first release."""
    await home.until((await home.deploy("first", cart="ok")).id, "done")
    await home.until((await home.service("cart")).id, "serving")


async def deploy(home: House, run: str) -> Machine:
    return await home.deploy("second", cart=run)


async def deployment_of(home: House, change: Machine) -> Machine:
    while not (made := await home.deployments(change.id)):
        await asyncio.sleep(0.005)
    return made[0]


async def at_rest(home: House, service: str, state: str) -> Machine:
    return await home.until((await home.service(service)).id, state)


async def begin_better(home: House) -> None:
    await deploy(home, "better")


async def begin_woken(home: House) -> None:
    """Suspended, it looks only when somebody wakes it; then it is deployed."""
    service = await home.service("cart")
    await home.committer.store(posts=(Post(home.world_id, service.id, "wake", "person:ada"),))
    await asyncio.sleep(0.05)
    await begin_better(home)


async def end_better(home: House) -> None:
    await home.until((await deploy(home, "better")).id, "done")
    service = await at_rest(home, "cart", "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.better"]


async def begin_unchanged(home: House) -> None:
    await deploy(home, "ok")


async def end_unchanged(home: House) -> None:
    change = await home.until((await deploy(home, "ok")).id, "done")
    assert isinstance(change.facts, ChangeFacts)
    assert (change.facts.deployments, change.facts.unaffected) == ((), ("cart",))
    service = await at_rest(home, "cart", "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]


async def plan_better(home: House) -> Machine:
    source = home.source(cart="better")
    return await home.operations.deploy(ADA, home.world, source, key="second", dry_run=True)


async def begin_planned(home: House) -> None:
    await plan_better(home)


async def end_planned(home: House) -> None:
    change = await home.until((await plan_better(home)).id, "planned")
    assert isinstance(change.facts, ChangeFacts)
    assert [(one.name, str(one.action)) for one in change.facts.items] == [("cart", "roll")]
    service = await at_rest(home, "cart", "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]
    assert len(await machines.list_deployments(home.db, home.world_id, service.id, 9)) == 1


async def begin_sick(home: House) -> None:
    await deploy(home, "sick")


async def end_sick(home: House) -> None:
    change = await home.until((await deploy(home, "sick")).id, "failed")
    (deployment,) = await home.deployments(change.id)
    assert deployment.state == "rolled_back"
    service = await at_rest(home, "cart", "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]


async def begin_cancelled(home: House) -> None:
    deployment = await deployment_of(home, await deploy(home, "slow"))
    await home.until(deployment.id, "verifying", "cancelling", "cancelled")
    await home.operations.cancel(ADA, deployment.id)


async def end_cancelled(home: House) -> None:
    change = await home.until((await deploy(home, "slow")).id, "cancelled")
    (deployment,) = await home.deployments(change.id)
    assert deployment.state == "cancelled"
    service = await at_rest(home, "cart", "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]


async def begin_suspended(home: House) -> None:
    await home.operations.suspend(ADA, home.world, "cart")


async def end_suspended(home: House) -> None:
    service = await at_rest(home, "cart", "suspended")
    assert home.running(service.id) == []
    assert (await home.facts("cart")).health is Health.SUSPENDED


async def suspended(home: House) -> None:
    await served(home)
    await begin_suspended(home)
    await end_suspended(home)


async def begin_retired(home: House) -> None:
    for one in await machines.list_kind(home.db, home.world_id, home.kind.SERVICE):
        await home.operations.retire(ADA, home.world, str(one.name))


async def end_retired(home: House) -> None:
    (service,) = await machines.list_kind(home.db, home.world_id, home.kind.SERVICE, all_=True)
    await home.until(service.id, "retired")
    assert home.running(service.id) == []


async def begin_approved(home: House) -> None:
    change = await deploy(home, "moody")
    await _approve(home, change)
    await _approve(home, await deployment_of(home, change))


async def _approve(home: House, machine: Machine) -> None:
    waiting = await home.until(machine.id, "awaiting_approval", *_BEYOND)
    assert isinstance(waiting.facts, ChangeFacts | DeploymentFacts)
    if waiting.state == "awaiting_approval":
        try:
            await home.operations.approve(ADA, machine.id, str(waiting.facts.plan_hash))
        except Exception:
            if (await home.get(machine.id)).state not in _BEYOND:
                raise


_BEYOND = ("applying", "done", "building", "provisioning", "releasing", "verifying", "succeeded")


async def end_approved(home: House) -> None:
    await home.until((await deploy(home, "moody")).id, "done")
    service = await at_rest(home, "cart", "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.moody"]
