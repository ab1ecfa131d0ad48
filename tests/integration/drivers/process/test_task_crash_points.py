"""deployd is killed at named points of a task and of an installation; each is done exactly once."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID, uuid4

import pytest

from deployd.drivers.api import ReleaseSpec, TaskSpec
from deployd.model.spec import BuildSpec
from tests.integration.drivers.process.place import Place, finish
from tests.integration.drivers.process.test_packages import build, made, packaged

KILLER = """
import asyncio, os, signal, subprocess, sys
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID
from deployd.drivers.api import DriverContext, ReleaseSpec, ServiceRef, TaskSpec, Wait
from deployd.drivers import detached
from deployd.drivers.process import client, environments
from deployd.drivers.process.driver import create
from deployd.model.spec import BuildSpec, ServiceSpec

what, point, home, tree, service, release, task = sys.argv[1:]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if point == "before the intent":
    client.write_whole = die
elif point == "before the start":
    client.Client._launch = die
elif point == "while it starts":
    class Popen(subprocess.Popen):
        def communicate(self, *_, **__):
            die()
    detached.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": Popen})
elif point == "after the start":
    client._await_status = die
elif point == "before its folders":
    environments.Environments._pip = die
elif point == "while it is taken over":
    environments.shutil.rmtree = die
elif point == "before it is whole":
    environments.write_whole = die
elif point == "before the pruning":
    environments.Environments.prune = die

async def main():
    driver = create({"grace_seconds": 1}, DriverContext(Path(home), "here"))
    ref = ServiceRef(7, "local", UUID(service), "cart")
    spec = ServiceSpec("cart", build=BuildSpec(), run=None if what == "build" else "sleep 600")
    made = ReleaseSpec(UUID(release), 1, spec, tree=Path(tree))
    again = Wait(0)
    while isinstance(again, Wait):
        if what == "build":
            again = await driver.build(ref, made)
        else:
            command = "echo once >> $HOME/runs; while [ ! -e $HOME/go ]; do sleep 0.02; done"
            again = await driver.run_task(ref, made, TaskSpec(UUID(task), "before", command, 30))
        if point == "while it runs":
            die()

asyncio.run(main())
"""
STARTING = ["before the intent", "before the start", "while it starts", "after the start", "while it runs"]


def kill(place: Place, what: str, point: str, release: ReleaseSpec, task_id: UUID) -> None:
    names = (place.home, place.tree, place.service.service_id, release.release_id, task_id)
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, what, point, *map(str, names)], capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr


@pytest.mark.parametrize("point", STARTING)
async def test_a_task_runs_once(place: Place, point: str) -> None:
    place.write("Dockerfile", "FROM x\n")
    release = place.release("sleep 600", build=BuildSpec())
    task = TaskSpec(
        uuid4(), "before", "echo once >> $HOME/runs; while [ ! -e $HOME/go ]; do sleep 0.02; done", 30
    )
    kill(place, "task", point, release, task.task_id)
    place.driver().client.make_home(place.service)
    own = place.driver().client.own_home(place.service)
    (own / "go").touch()
    await finish(lambda: place.driver().run_task(place.service, release, task))
    assert (own / "runs").read_text() == "once\n"


@pytest.mark.parametrize(
    "point",
    [*STARTING, "before its folders", "while it is taken over", "before it is whole", "before the pruning"],
)
async def test_one_environment_is_made(place: Place, point: str) -> None:
    release = packaged(place)
    kill(place, "build", point, release, uuid4())
    intent = list(place.home.glob("environments/*/build/spec.json"))
    assert len(intent) == (point not in {"before the intent", "before its folders"})
    assert len(made(place)) == (point == "before the pruning")
    await build(place, release)
    (environment,) = made(place)
    (builder,) = place.driver().environments.logs(place.service)
    assert builder.ended
    page = await place.driver().read_logs(place.service, None, 1000)
    said = [line.text for line in page.lines if line.text == "Successfully installed greet-1.0"]
    assert len(said) == 1
    await place.apply(release)
    assert (await place.logged("hello")).instance == "cart-1"
    assert {one.name for one in environment.iterdir()} == {"venv", "build", "lock", "whole"}
