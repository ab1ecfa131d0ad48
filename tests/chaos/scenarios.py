"""What goes on while a deployd is killed: each scenario can be begun twice, and says how it must end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from deployd.engine.birth import birth
from deployd.model.facts import ChangeFacts, DeploymentFacts, ResourceFacts, ServiceFacts
from deployd.model.identifier import derived_id
from deployd.model.machine import Machine
from deployd.model.spec import RolloutSpec
from deployd.model.state import Health
from deployd.store import machines
from deployd.store.commit import Post
from tests.chaos.hold_steps import (
    begin_adopted,
    begin_held,
    begin_held_at_work,
    begin_rolled_back,
    begin_scaled,
    end_adopted,
    end_held,
    end_held_at_work,
    end_rolled_back,
    end_scaled,
    held,
    left,
    orphaned,
    scalable,
    two_releases,
)
from tests.chaos.resource_steps import (
    begin_dropped,
    begin_ended,
    begin_provided,
    begin_rested,
    begin_resumed,
    end_dropped,
    end_ended,
    end_provided,
    end_rested,
    end_resumed,
    provided,
    rested,
)
from tests.chaos.task_steps import (
    begin_before,
    begin_before_cancelled,
    begin_before_fails,
    begin_run,
    begin_run_suspended,
    end_before,
    end_before_cancelled,
    end_before_fails,
    end_run,
    end_run_suspended,
    scheduled,
)
from tests.house import ADA, House

Step = Callable[[House], Awaitable[None]]


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


# -- begin and end


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
    await home.until((await deploy(home, "sick")).id, "failed")
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


# -- rollouts

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


async def begin_resource(home: House) -> None:
    facts = ResourceFacts("db", "postgres", "infra", settings={"size": 1})
    made = birth(home.world_id, _resource(home), facts, "person:ada", name="db")
    await home.committer.store(births=(made,))


async def end_resource(home: House) -> None:
    await home.until(_resource(home), "ready")
    assert home.running(_resource(home)) == ["begun", "object"]


async def resource(home: House) -> None:
    await begin_resource(home)
    await end_resource(home)


async def begin_updated(home: House) -> None:
    machine = await home.get(_resource(home))
    assert isinstance(machine.facts, ResourceFacts)
    if machine.facts.settings != {"size": 2}:
        post = Post(home.world_id, machine.id, "update", "person:ada", {"settings": {"size": 2}})
        await home.committer.store(posts=(post,))


async def end_updated(home: House) -> None:
    async with asyncio.timeout(20):
        while True:
            machine = await home.until(_resource(home), "ready")
            assert isinstance(machine.facts, ResourceFacts)
            if machine.facts.settings == {"size": 2}:
                return
            await asyncio.sleep(0.005)


async def begin_deleted(home: House) -> None:
    await home.committer.store(posts=(Post(home.world_id, _resource(home), "delete", "person:ada"),))


async def end_deleted(home: House) -> None:
    await home.until(_resource(home), "deleted")
    assert home.running(_resource(home)) == []


def _resource(home: House) -> UUID:
    return derived_id(home.world_id, "resource", "db")


# -- with real processes

_PROGRAM = """\
import os, socket, sys
if sys.argv[1] == "broken":
    sys.exit("I am broken")
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    if sys.argv[1] == "mute":
        import time; server.close(); time.sleep(60)
    server.accept()[0].close()
"""


def program(home: House, version: str) -> str:
    """A working directory whose program carries the world's name and its version on its command line."""
    path = home.home / "program"
    path.mkdir(exist_ok=True)
    (path / "serve.py").write_text(_PROGRAM)
    (path / "deployd.yaml").write_text(
        "deployd: 1\nservice:\n  name: cart\n  port: 80\n"
        f"  run: /usr/bin/python3 -S serve.py {version} {home.home}\n"
    )
    return str(path)


def processes(home: House) -> list[str]:
    """The versions that run, one for each process there is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if words[0] == "/usr/bin/python3" and str(home.home) in words:
            found.append(words[-3])
    return found


def one_runs(home: House, versions: list[str]) -> None:
    """Exactly these run; else what is seen instead."""
    seen = processes(home)
    assert seen == versions, f"{seen} run, not {versions}"


async def launch(home: House, version: str) -> Machine:
    return await home.operations.deploy(ADA, home.world, program(home, version), key=version)


async def launched(home: House) -> None:
    await home.until((await launch(home, "one")).id, "done")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["one"])


async def begin_launch(home: House) -> None:
    await launch(home, "two")


async def end_launch(home: House) -> None:
    await home.until((await launch(home, "two")).id, "done")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["two"])


async def begin_broken(home: House) -> None:
    await launch(home, "broken")


async def end_broken(home: House) -> None:
    await home.until((await launch(home, "broken")).id, "failed")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["one"])


async def begin_mute(home: House) -> None:
    deployment = await deployment_of(home, await launch(home, "mute"))
    await home.until(deployment.id, "verifying", "cancelling", "cancelled")
    await home.operations.cancel(ADA, deployment.id)


async def end_mute(home: House) -> None:
    await home.until((await launch(home, "mute")).id, "cancelled")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["one"])


async def end_suspended_process(home: House) -> None:
    await at_rest(home, "cart", "suspended")
    one_runs(home, [])


async def end_retired_process(home: House) -> None:
    (service,) = await machines.list_kind(home.db, home.world_id, home.kind.SERVICE, all_=True)
    await home.until(service.id, "retired")
    one_runs(home, [])


@dataclass(frozen=True)
class Scenario:
    """`targets`: in which states of which kind it is died."""

    prepare: Step
    begin: Step
    end: Step
    targets: tuple[tuple[str, str], ...]
    processes: bool = False
    """With the real process driver, rather than a stand-in."""
    routed: bool = False
    """In a world with an entrypoint."""
    ephemeral: bool = False
    """In a world whose data may go with it."""
    remade: bool = False
    """What was stopped is started again: one object may be made twice, one after the other."""
    when: Callable[[Machine], bool] = lambda _: True
    """Which of the machines in these states is died with."""


def on(kind: str, *states: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind, state) for state in states)


SCENARIOS: dict[str, Scenario] = {
    "first": Scenario(nothing, begin_better, end_better, on("service", "idle")),
    "better": Scenario(
        served,
        begin_better,
        end_better,
        on("change", "received", "planning", "applying")
        + on(
            "deployment",
            "queued",
            "fetching",
            "planning",
            "building",
            "provisioning",
            "releasing",
            "verifying",
        )
        + on("service", "serving", "deploying"),
    ),
    "unchanged": Scenario(served, begin_unchanged, end_unchanged, on("change", "planning", "applying")),
    "planned": Scenario(served, begin_planned, end_planned, on("change", "planning")),
    "sick": Scenario(served, begin_sick, end_sick, on("deployment", "rolling_back")),
    "cancelled": Scenario(served, begin_cancelled, end_cancelled, on("deployment", "cancelling")),
    "canary": Scenario(
        served,
        begin_rollout("better", CANARY),
        end_rollout("better", CANARY, "succeeded", "better"),
        on("deployment", "verifying"),
        routed=True,
        when=is_split,
    ),
    "wilting": Scenario(
        served,
        begin_wilting,
        end_rollout("wilting", LONG, "rolled_back", "ok"),
        on("deployment", "verifying", "rolling_back"),
        routed=True,
        when=is_split,
    ),
    "cancelled-canary": Scenario(
        served,
        begin_cancelled_canary,
        end_rollout("wilting", LONG, "cancelled", "ok"),
        on("deployment", "cancelling"),
        routed=True,
    ),
    "blue-green": Scenario(
        served,
        begin_rollout("better", KEEPING),
        end_rollout("better", KEEPING, "succeeded", "better"),
        on("deployment", "verifying"),
        routed=True,
    ),
    "kept": Scenario(
        served,
        begin_rollout("better", KEEPING),
        end_rollout("better", KEEPING, "succeeded", "better"),
        on("service", "serving"),
        routed=True,
        when=is_keeping,
    ),
    "recreate": Scenario(
        served,
        begin_rollout("better", RECREATE),
        end_rollout("better", RECREATE, "succeeded", "better"),
        on("deployment", "releasing"),
        routed=True,
    ),
    "recreate-sick": Scenario(
        served,
        begin_rollout("sick", RECREATE),
        end_rollout("sick", RECREATE, "rolled_back", "ok"),
        on("deployment", "rolling_back"),
        routed=True,
        remade=True,
    ),
    "suspended": Scenario(served, begin_suspended, end_suspended, on("service", "suspending")),
    "woken": Scenario(suspended, begin_woken, end_better, on("service", "suspended")),
    "retired": Scenario(served, begin_retired, end_retired, on("service", "retiring")),
    "approved": Scenario(
        nothing,
        begin_approved,
        end_approved,
        on("change", "awaiting_approval") + on("deployment", "awaiting_approval"),
    ),
    "resource": Scenario(
        nothing, begin_resource, end_resource, on("resource", "requested", "creating", "ready")
    ),
    "updated": Scenario(resource, begin_updated, end_updated, on("resource", "updating")),
    "deleted": Scenario(resource, begin_deleted, end_deleted, on("resource", "deleting")),
    "provided": Scenario(
        nothing,
        begin_provided,
        end_provided,
        on("deployment", "provisioning") + on("resource", "requested", "creating"),
    ),
    "dropped": Scenario(provided, begin_dropped, end_dropped, on("service", "deploying")),
    "rested": Scenario(provided, begin_rested, end_rested, on("resource", "ready")),
    "resumed": Scenario(rested, begin_resumed, end_resumed, on("service", "serving"), remade=True),
    "world ended": Scenario(
        provided, begin_ended, end_ended, on("change", "planning", "applying"), ephemeral=True
    ),
    "before": Scenario(
        served, begin_before, end_before, on("deployment", "building", "provisioning", "releasing")
    ),
    "before fails": Scenario(
        served, begin_before_fails, end_before_fails, on("deployment", "releasing", "rolling_back")
    ),
    "before cancelled": Scenario(
        served, begin_before_cancelled, end_before_cancelled, on("deployment", "cancelling")
    ),
    "run": Scenario(scheduled, begin_run, end_run, on("service", "serving")),
    "run suspended": Scenario(scheduled, begin_run_suspended, end_run_suspended, on("service", "suspending")),
    "rolled back": Scenario(
        two_releases,
        begin_rolled_back,
        end_rolled_back,
        on("service", "deploying") + on("deployment", "queued", "planning"),
        remade=True,
    ),
    "held": Scenario(held, begin_held, end_held, on("deployment", "queued")),
    "held at work": Scenario(
        left, begin_held_at_work, end_held_at_work, on("deployment", "cancelling"), remade=True
    ),
    "scaled": Scenario(scalable, begin_scaled, end_scaled, on("service", "serving")),
    "adopted": Scenario(orphaned, begin_adopted, end_adopted, on("resource", "ready")),
    "launch": Scenario(
        launched,
        begin_launch,
        end_launch,
        on("deployment", "planning", "releasing", "verifying") + on("service", "deploying", "serving"),
        processes=True,
    ),
    "broken": Scenario(launched, begin_broken, end_broken, on("deployment", "rolling_back"), processes=True),
    "mute": Scenario(launched, begin_mute, end_mute, on("deployment", "cancelling"), processes=True),
    "stopped": Scenario(
        launched, begin_suspended, end_suspended_process, on("service", "suspending"), processes=True
    ),
    "ended": Scenario(
        launched, begin_retired, end_retired_process, on("service", "retiring"), processes=True
    ),
}
