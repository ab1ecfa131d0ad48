"""What a Dockerfile installs by pip is there for its process: once, whole, for whoever needs the same."""

from __future__ import annotations

import os
import shutil
import stat
import time
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest

from deployd.drivers.api import Done, Failed, Progress, ReleaseSpec, TaskSpec, Wait
from deployd.drivers.process import environments
from deployd.drivers.process.instance import read_status
from deployd.model.reason import Reason
from deployd.model.spec import BuildSpec
from tests.integration.drivers.process.place import Place, finish, gone, new_service

DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt .
COPY wheels wheels
RUN pip install --no-cache-dir --no-index --find-links wheels -r requirements.txt
COPY . .
CMD ["greet", "--loudly"]
"""


def write_wheel(folder: Path, name: str, text: str, version: str = "1.0") -> Path:
    """A wheel with one module and one program of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"import sys\n\ndef main():\n    print({text!r}, *sys.argv[1:], flush=True)\n"
        "    import time\n    time.sleep(600)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{one},,\n" for one in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for one, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(one, (2020, 1, 1, 0, 0, 0)), content)
    return wheel


def packaged(place: Place, dockerfile: str = DOCKERFILE, requirements: str = "greet==1.0\n") -> ReleaseSpec:
    place.write("Dockerfile", dockerfile)
    place.write("requirements.txt", requirements)
    if not (place.tree / "wheels").exists():
        write_wheel(place.tree / "wheels", "greet", "hello")
    return place.release(build=BuildSpec())


async def build(place: Place, release: ReleaseSpec) -> Done:
    return await finish(lambda: place.driver().build(place.service, release), 60)


async def fail(place: Place, release: ReleaseSpec) -> Reason:
    ended: list[Reason] = []

    async def ask() -> Progress:
        progress = await place.driver().build(place.service, release)
        if isinstance(progress, Failed):
            ended.append(progress.reason)
            return Done()
        assert not isinstance(progress, Done)
        return progress

    await finish(ask, 60)
    return ended[0]


def made(place: Place) -> list[Path]:
    return sorted(one.parent for one in place.home.glob("environments/*/whole"))


async def test_from_the_dockerfile_to_a_running_program(place: Place) -> None:
    release = packaged(place)
    planned = await place.driver().plan(place.service, release)
    assert not planned.refusals
    assert planned.actions[0] == "install packages of requirements.txt"
    assert "greet --loudly" in planned.actions[1]
    first = await place.driver().build(place.service, release)
    assert isinstance(first, Wait)
    assert "packages of requirements.txt" in first.note
    await build(place, release)
    await place.apply(release)
    line = await place.logged("hello --loudly")
    assert line.instance == "cart-1"
    assert (await place.logged("Successfully installed greet-1.0")).instance == "cart-1 packages"
    (environment,) = made(place)
    start = place.driver().client.instances(place.service)[0].start
    assert start.env["VIRTUAL_ENV"] == str(environment / "venv")
    assert start.env["PATH"].startswith(f"{environment}/venv/bin:")
    assert not (environment / "home").exists()


async def test_nobody_can_write_to_it_who_ran_foreign_code(place: Place) -> None:
    await build(place, packaged(place))
    (environment,) = made(place)
    builder = place.driver().environments.logs(place.service)[0]
    if os.geteuid() == 0:
        assert builder.start.uid not in {0, None, place.driver().client.user_of(place.service)}
    for one in [environment / "venv", *(environment / "venv").rglob("*")]:
        seen = one.lstat()
        assert seen.st_uid == os.geteuid()
        assert stat.S_ISLNK(seen.st_mode) or not seen.st_mode & 0o022 or os.geteuid()


async def test_the_same_packages_are_installed_once(place: Place) -> None:
    await build(place, packaged(place))
    (environment,) = made(place)
    born = (environment / "venv" / "pyvenv.cfg").stat().st_ino
    place.write("server.py", "another release\n")
    place.service = new_service()
    assert isinstance(await place.driver().build(place.service, packaged(place)), Done)
    assert made(place) == [environment]
    assert (environment / "venv" / "pyvenv.cfg").stat().st_ino == born


@pytest.mark.parametrize("what", ["requirements", "wheel", "arguments"])
async def test_other_packages_are_others(place: Place, what: str) -> None:
    await build(place, packaged(place))
    write_wheel(place.tree / "wheels", "greet", "hi" if what == "wheel" else "hello")
    requirements = "# the same\ngreet==1.0\n" if what == "requirements" else "greet==1.0\n"
    dockerfile = DOCKERFILE.replace("-r req", "--no-deps -r req") if what == "arguments" else DOCKERFILE
    assert isinstance(
        await place.driver().build(place.service, packaged(place, dockerfile, requirements)), Wait
    )


async def test_what_pip_says_when_it_fails(place: Place) -> None:
    release = packaged(place, requirements="no-such-thing==7\n")
    assert not (await place.driver().plan(place.service, release)).refusals
    reason = await fail(place, release)
    assert reason.code == "PACKAGES_NOT_INSTALLED"
    assert "no-such-thing" in reason.evidence
    assert reason.remedy
    assert await fail(place, release) == reason
    assert made(place) == []
    # Another attempt tries again: perhaps the network was away.
    write_wheel(place.tree / "wheels", "greet", "hello")
    again = packaged(place, requirements="no-such-thing==7\n")
    assert isinstance(await place.driver().build(place.service, again), Wait)


async def test_a_program_that_the_packages_do_not_bring(place: Place) -> None:
    release = packaged(place, DOCKERFILE.replace('"greet"', '"gunicorn-that-is-not-there"'))
    assert not (await place.driver().plan(place.service, release)).refusals
    reason = await fail(place, release)
    assert reason.code == "PROGRAM_MISSING"
    assert "gunicorn-that-is-not-there" in reason.summary


async def test_a_builder_that_was_killed_begins_again(place: Place) -> None:
    release = packaged(place)
    assert isinstance(await place.driver().build(place.service, release), Wait)
    (folder,) = place.home.glob("environments/*/build")
    status = read_status(folder)
    os.kill(status.shim, 9)
    gone(status.shim, status.shim_birth)
    await build(place, release)
    assert len(made(place)) == 1
    await place.apply(release)
    await place.logged("hello --loudly")


async def test_one_that_is_gone_is_made_again(place: Place) -> None:
    release = packaged(place)
    await build(place, release)
    (environment,) = made(place)
    shutil.rmtree(environment)
    assert isinstance(await place.driver().apply(place.service, release, alone=True), Wait)
    await finish(lambda: place.driver().apply(place.service, release, alone=True), 60)
    await place.logged("hello --loudly")


async def test_a_task_has_them_too(place: Place) -> None:
    release = packaged(place)
    await build(place, release)
    task = TaskSpec(uuid4(), "before", "python -c 'import greet, sys; print(sys.prefix)'", 10)
    await finish(lambda: place.driver().run_task(place.service, release, task))
    (environment,) = made(place)
    assert (await place.logged("environments")).text == str(environment / "venv")


async def test_pruned_are_those_that_nobody_has(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "KEPT", 1)
    kept = packaged(place)
    await build(place, kept)
    await place.apply(kept)
    (used,) = made(place)
    folder = place.home / "environments"
    for number, name in enumerate(("a" * 32, "b" * 32, "c" * 32)):
        (folder / name / "venv").mkdir(parents=True)
        if name[0] != "c":
            (folder / name / "whole").touch()
        asked = time.time() - 100_000 + number
        os.utime(folder / name / "whole" if name[0] != "c" else folder / name, (asked, asked))
    os.utime(used / "whole", (1, 1))
    shutil.copytree(used / "build", folder / f".gone-{'d' * 32}.1" / "build")  # died while removing it
    await place.logged("Successfully installed greet-1.0")
    await build(place, packaged(place, requirements="greet\n"))
    there = {one.name for one in folder.iterdir() if len(one.name) == 32}
    assert {used.name, "b" * 32} < there
    assert not {"a" * 32, "c" * 32} & there
    assert not list(folder.glob(".gone*"))
