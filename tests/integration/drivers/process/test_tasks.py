"""Commands that run once: as their service would, exactly once, to an end that is on disk."""

from __future__ import annotations

import os
import signal
from typing import Any
from uuid import UUID, uuid4

import pytest

from deployd.drivers.api import Done, Failed, Progress, ReleaseSpec, TaskSpec, Wait
from deployd.drivers.process.client import Instance
from deployd.drivers.process.tasks import KEPT
from deployd.model.reason import Reason
from tests.integration.drivers.process.place import PYTHON, Place, finish, gone

ROOT = os.geteuid() == 0


def a_task(command: str | None, timeout: float = 20.0, task_id: UUID | None = None) -> TaskSpec:
    return TaskSpec(task_id or uuid4(), "before", command, timeout)


async def run(place: Place, release: ReleaseSpec, task: TaskSpec) -> Done:
    return await finish(lambda: place.driver().run_task(place.service, release, task))


async def fail(place: Place, release: ReleaseSpec, task: TaskSpec, **config: object) -> Reason:
    ended: list[Reason] = []

    async def ask() -> Progress:
        progress = await place.driver(**config).run_task(place.service, release, task)
        if isinstance(progress, Failed):
            ended.append(progress.reason)
            return Done()
        assert not isinstance(progress, Done)
        return progress

    await finish(ask)
    return ended[0]


def find(place: Place, task: TaskSpec) -> Instance:
    found = place.driver().tasks.find(place.service, task.task_id)
    assert found is not None
    return found


async def until_it_says(place: Place, release: ReleaseSpec, task: TaskSpec, text: str) -> Instance:
    assert isinstance(await place.driver().run_task(place.service, release, task), Wait)
    await place.logged(text)
    return find(place, task)


def sleeper(place: Place, **spec: Any) -> ReleaseSpec:
    return place.python("import time; time.sleep(600)", **spec)


async def test_it_runs_as_its_service_would(place: Place) -> None:
    release = sleeper(place, ports={"http": 80}, env={"LEVEL": "7"})
    place.write("here.txt", "the tree's\n")
    task = a_task('cat here.txt; echo "$LEVEL $(id -u) $(pwd) port=$PORT"; touch "$HOME/mine"')
    await run(place, release, task)
    line = await place.logged("port=")
    user = find(place, task).start.uid if ROOT else os.geteuid()
    assert line.text == f"7 {user} {place.tree} port="
    assert line.instance == "cart-1 before"
    assert (await place.logged("the tree's")).stream == "stdout"
    await place.apply(sleeper(place))
    mine = place.driver().client.own_home(place.service) / "mine"
    assert mine.stat().st_uid == place.driver().client.user_of(place.service) or not ROOT


async def test_the_releases_own_command_without_a_port(place: Place) -> None:
    release = place.python("import os; print('PORT' in os.environ)", ports={"http": 80})
    await run(place, release, a_task(None))
    assert (await place.logged("False")).instance == "cart-1 before"
    assert (await place.see(release)) is None


async def test_once_for_each_id(place: Place) -> None:
    release, task = sleeper(place), a_task("echo once >> $HOME/runs; echo done")
    for _ in range(3):
        await run(place, release, task)
    runs = place.driver().client.own_home(place.service) / "runs"
    assert runs.read_text() == "once\n"
    await run(place, release, a_task("echo once >> $HOME/runs"))
    assert runs.read_text() == "once\n" * 2


async def test_what_fails_says_why(place: Place) -> None:
    release = sleeper(place)
    task = a_task("echo no such table >&2; exit 3")
    reason = await fail(place, release, task)
    assert (reason.code, reason.evidence) == ("TASK_FAILED", "no such table")
    assert "exited with code 3" in reason.summary
    assert reason.remedy
    assert await fail(place, release, task) == reason  # and is not tried again by itself


async def test_a_signal_and_a_missing_program(place: Place) -> None:
    release = sleeper(place)
    assert "signal 9" in (await fail(place, release, a_task("kill -9 $$"))).summary
    missing = await fail(place, release, a_task("no-such-program --now"))
    assert missing.code == "PROGRAM_MISSING"
    broken = await fail(place, release, a_task("echo 'open"))
    assert broken.code == "BAD_COMMAND"


async def test_the_timeout_asks_and_then_kills(place: Place) -> None:
    release = sleeper(place)
    deaf = a_task("trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done", timeout=3)
    reason = await fail(place, release, deaf, grace_seconds=4)
    assert reason.code == "TASK_TIMEOUT"
    assert {"ready", "asked"} <= set(reason.evidence.splitlines())
    assert "3 s" in reason.summary
    polite = a_task("trap 'exit 0' TERM; while :; do sleep 0.05; done", timeout=0.2)
    assert (await fail(place, release, polite)).code == "TASK_TIMEOUT"


async def test_it_outlives_deployd_and_is_found_again(place: Place) -> None:
    release, task = sleeper(place), a_task("echo begun; while [ ! -e $HOME/go ]; do sleep 0.05; done")
    begun = await until_it_says(place, release, task, "begun")
    waiting = await place.driver().run_task(place.service, release, task)
    assert isinstance(waiting, Wait)
    assert "cart-1 before" in waiting.note
    assert find(place, task).status.pid == begun.status.pid
    (place.driver().client.own_home(place.service) / "go").touch()
    await run(place, release, task)


async def test_it_runs_again_only_when_its_supervisor_was_killed(place: Place) -> None:
    release = sleeper(place)
    task = a_task("echo begun >> $HOME/runs; echo begun; while [ ! -e $HOME/go ]; do sleep 0.05; done")
    begun = await until_it_says(place, release, task, "begun")
    os.kill(begun.status.shim, signal.SIGKILL)
    gone(begun.status.shim, begun.status.shim_birth)
    own = place.driver().client.own_home(place.service)
    (own / "go").touch()
    await run(place, release, task)
    assert (own / "runs").read_text() == "begun\n" * 2
    gone(begun.status.pid, begun.status.birth)


async def test_ended_by_wish(place: Place) -> None:
    release, task = sleeper(place), a_task("echo begun; exec sleep 600")
    begun = await until_it_says(place, release, task, "begun")
    for _ in range(2):
        await finish(lambda: place.driver().end_task(place.service, task.task_id))
    gone(begun.status.pid, begun.status.birth)
    assert (await fail(place, release, task)).code == "TASK_ENDED"


async def test_ending_what_has_ended_or_never_was(place: Place) -> None:
    release, task = sleeper(place), a_task("true")
    assert await place.driver().end_task(place.service, uuid4()) == Done()
    await run(place, release, task)
    assert await place.driver().end_task(place.service, task.task_id) == Done()
    await run(place, release, task)


async def test_what_it_leaves_in_the_background_ends_with_it(place: Place) -> None:
    release = sleeper(place)
    task = a_task(f"{PYTHON} -c 'import os; os.setsid(); print(os.getpid(), flush=True)' & wait; sleep 600 &")
    await run(place, release, task)
    found = find(place, task)
    assert found.status.pid == 0


async def test_few_are_kept(place: Place) -> None:
    release = sleeper(place)
    tasks = [a_task("true") for _ in range(KEPT + 3)]
    for one in tasks:
        await run(place, release, one)
        status = find(place, one).status
        gone(status.shim, status.shim_birth)  # only then it counts as ended
    kept = {one.release_id for one in place.driver().tasks.list(place.service)}
    assert kept == {one.task_id for one in tasks[-KEPT - 1 :]}


async def test_its_service_is_left_alone(place: Place) -> None:
    release = sleeper(place)
    await place.apply(release)
    before = await place.until(release, lambda seen: seen.pid)
    await run(place, release, a_task("true"))
    assert await place.driver().end_task(place.service, uuid4()) == Done()
    after = await place.see(release)
    assert after is not None
    assert after.pid == before.pid
    await place.destroy()


async def test_planned(place: Place) -> None:
    from deployd.model.spec import BeforeSpec

    good = sleeper(place, before=BeforeSpec("echo x"))
    planned = await place.driver().plan(place.service, good)
    assert planned.actions[0] == "run `echo x` once before"
    bad = await place.driver().plan(place.service, sleeper(place, before=BeforeSpec("no-such-program")))
    assert [one.code for one in bad.refusals] == ["PROGRAM_MISSING"]
    job = await place.driver().plan(place.service, sleeper(place, schedule="0 3 * * *"))
    assert job.actions[0].endswith("at `0 3 * * *` (UTC)")


@pytest.mark.skipif(not ROOT, reason="only root gives users")
async def test_it_gains_no_rights(place: Place) -> None:
    release = sleeper(place)
    reason = await fail(place, release, a_task("touch /root/x"))
    assert "denied" in reason.evidence.lower()
