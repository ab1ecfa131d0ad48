"""What goes on with tasks while a deployd is killed: before a release, and by a schedule."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from deployd.engine.birth import birth
from deployd.model.facts import DeploymentFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.release import Release
from deployd.model.spec import BeforeSpec, ServiceSpec
from deployd.store import releases
from deployd.store.commit import Post
from tests.house import ADA, House


async def _at_rest(home: House, state: str) -> Machine:
    return await home.until((await home.service("cart")).id, state)


async def _deploy_spec(home: House, key: str, **parts: object) -> UUID:
    """A deployment of the served service, with more in its specification."""
    service = await home.service("cart")
    deployment_id = derived_id(service.id, key)
    release = await _serving(home)
    spec: ServiceSpec = replace(release.spec, **parts)  # type: ignore[arg-type]
    facts = DeploymentFacts("cart", datetime.now(UTC), "person:ada", spec, release.source)
    made = birth(home.world_id, deployment_id, facts, "person:ada", service_id=service.id, placement="here")
    await home.committer.store(births=(made,))
    return deployment_id


async def _serving(home: House) -> Release:
    serving = (await home.facts("cart")).serving
    assert serving is not None
    release = await releases.get(home.db, home.world_id, serving)
    assert release is not None
    return release


def _tasks(home: House) -> list[str]:
    return [line for line in home.folder.journal() if line.startswith("made") and line.endswith(" task")]


async def begin_before(home: House) -> None:
    await _deploy_spec(home, "before", run="better", before=BeforeSpec("ok"))


async def end_before(home: House) -> None:
    deployment_id = await _deploy_spec(home, "before", run="better", before=BeforeSpec("ok"))
    await home.until(deployment_id, "succeeded")
    service = await _at_rest(home, "serving")
    assert home.running(service.id) == [f"{deployment_id}.better"]
    assert len(_tasks(home)) == 1


async def begin_before_fails(home: House) -> None:
    await _deploy_spec(home, "before", run="better", before=BeforeSpec("broken"))


async def end_before_fails(home: House) -> None:
    deployment_id = await _deploy_spec(home, "before", run="better", before=BeforeSpec("broken"))
    await home.until(deployment_id, "failed")
    service = await _at_rest(home, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]
    assert len(_tasks(home)) == 1


async def begin_before_cancelled(home: House) -> None:
    deployment_id = await _deploy_spec(home, "before", run="better", before=BeforeSpec("slow"))
    await home.until(deployment_id, "releasing", "cancelling", "cancelled")
    await home.operations.cancel(ADA, deployment_id)


async def end_before_cancelled(home: House) -> None:
    deployment_id = derived_id((await home.service("cart")).id, "before")
    await home.until(deployment_id, "cancelled")
    service = await _at_rest(home, "serving")
    assert home.running(service.id) == [f"{(await home.facts('cart')).serving}.ok"]
    task = home.folder.of(derived_id(deployment_id, "before"))
    assert task in ([], ["ended", "task"])


async def scheduled(home: House) -> None:
    await home.until((await home.deploy("first", cart="ok")).id, "done")
    await home.until(await _deploy_spec(home, "schedule", run="slow", schedule="0 3 29 2 *"), "succeeded")
    await _at_rest(home, "serving")


async def begin_run(home: House) -> None:
    """Its time has come; in the middle of it, its end."""
    service = await home.service("cart")
    await home.db.pool.execute(
        "update machines set facts = jsonb_set(facts, '{next_run_at}', '\"2024-02-29T03:00:00Z\"'),"
        " version = version + 1 where world_id = $1 and id = $2 and facts -> 'last_run' = 'null'"
        " and facts -> 'run' = 'null'",
        home.world_id,
        service.id,
    )
    (home.folder.root / "go").touch()
    await home.committer.store(posts=(Post(home.world_id, service.id, "wake", "person:ada"),))


async def end_run(home: House) -> None:
    async with asyncio.timeout(20):
        while (facts := await home.facts("cart")).last_run is None or facts.run is not None:
            await asyncio.sleep(0.01)
    assert facts.last_run.reason is not None
    assert facts.last_run.reason.code == "RUN_SUCCEEDED"
    assert facts.next_run_at is not None
    assert facts.next_run_at > datetime.now(UTC)
    assert len(_tasks(home)) == 1


async def begin_run_suspended(home: House) -> None:
    if (await home.service("cart")).state == "serving":
        if (await home.facts("cart")).run is None:
            await home.operations.run(ADA, home.world, "cart")
        async with asyncio.timeout(20):
            while (await home.facts("cart")).run is None:
                await asyncio.sleep(0.005)
    await home.operations.suspend(ADA, home.world, "cart")


async def end_run_suspended(home: House) -> None:
    service = await _at_rest(home, "suspended")
    assert home.running(service.id) == []
    facts = await home.facts("cart")
    assert (facts.run, facts.next_run_at) == (None, None)
    assert facts.last_run is not None
    assert home.folder.of(facts.last_run.task_id) in ([], ["ended", "task"])
