"""Secrets reach the program and nothing else: no file, no log, no command line, no answer of the driver."""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from deployd.drivers.api import ReleaseSpec
from deployd.drivers.process.instance import read_start, read_status
from deployd.model.state import Health
from tests.integration.drivers.process.place import PATIENCE, Place, gone

PROGRAM = """
import base64, os, sys, time
key = os.environ["KEY"]
print("the key is", key, "for", os.environ["WHO"], flush=True)
print(base64.b64encode(b"user:" + key.encode()).decode(), flush=True)
sys.stderr.write("no newline " + key)
sys.stderr.flush()
print("password", os.environ["DATABASE_URL"].split(":")[2].split("@")[0], flush=True)
if os.environ.get("CRASH"):
    raise KeyError(os.environ["DATABASE_URL"])
time.sleep(600)
"""


def canary() -> str:
    return f"canary-{uuid4().hex}"


def secretly(place: Place, key: str, password: str, **env: str) -> ReleaseSpec:
    release = place.python(PROGRAM)
    url = f"postgres://cart:{password}@127.0.0.1:5432/cart"
    return replace(
        release,
        env={"KEY": key, "DATABASE_URL": url, "WHO": "everybody", **env},
        secrets=frozenset({"KEY", "DATABASE_URL"}),
        hidden={"payment": key},
    )


def has(pid: int | None, key: str, seconds: float = PATIENCE) -> None:
    """The process gets it, once it has become the program."""
    end = time.monotonic() + seconds
    while f"KEY={key}".encode() not in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        assert time.monotonic() < end
        time.sleep(0.01)


def leaks(root: Path, *values: str) -> list[str]:
    """Files below, and command lines of all processes, that hold one of these."""
    while True:
        try:
            found = [
                str(file)
                for file in root.rglob("*")
                if stat.S_ISREG(file.lstat().st_mode) and any(v.encode() in file.read_bytes() for v in values)
            ]
            break
        except FileNotFoundError:
            pass  # it was given its name, under which it may have been read before
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and any(v.encode() in (folder / "cmdline").read_bytes() for v in values):
                found.append(str(folder))
        except OSError:
            pass  # it ended meanwhile
    return found


async def test_the_program_has_them_and_no_file_does(place: Place) -> None:
    key, password = canary(), canary()
    release = secretly(place, key, password)
    await place.apply(release)
    line = await place.logged("the key is")
    assert line.text == "the key is [secret payment] for everybody"
    assert (await place.logged("password")).text == "password [secret DATABASE_URL]"
    status = await place.until(release, lambda one: one.pid)
    has(status.pid, key)
    assert leaks(place.root, key, password) == []
    start = read_start(place.folder(release))
    assert start is not None
    assert start.env["WHO"] == "everybody"
    assert not {"KEY", "DATABASE_URL"} & start.env.keys()
    shim = Path(f"/proc/{place.shim(release)}/environ").read_bytes()
    assert key.encode() not in shim


async def test_they_outlive_restarts_of_the_program_and_of_its_supervisor(place: Place) -> None:
    key, password = canary(), canary()
    release = secretly(place, key, password)
    await place.apply(release)
    first = await place.until(release, lambda one: one.pid)
    assert first.pid
    os.kill(first.pid, signal.SIGKILL)
    second = await place.until(release, lambda one: one.pid and one.pid != first.pid)
    has(second.pid, key)
    status = read_status(place.folder(release))
    os.kill(status.shim, signal.SIGKILL)
    gone(status.shim, status.shim_birth)
    gone(status.pid, status.birth)
    await place.until(release, lambda one: one.health is Health.MISSING)
    await place.apply(release)
    third = await place.until(release, lambda one: one.pid)
    has(third.pid, key)
    assert leaks(place.root, key, password) == []


async def test_a_crash_that_shows_them_does_not(place: Place) -> None:
    key, password = canary(), canary()
    release = secretly(place, key, password, CRASH="1")
    await place.apply(release)
    seen = await place.until(release, lambda one: one.reason and "KeyError" in one.reason.evidence)
    assert seen.reason is not None
    assert "KeyError: '[secret DATABASE_URL]'" in seen.reason.evidence
    assert leaks(place.root, key, password) == []
    page = await place.driver().read_logs(place.service, None, 1000)
    assert not [line for line in page.lines if key in line.text or password in line.text]


async def test_a_cursor_stays_exact_where_lines_were_redacted(place: Place) -> None:
    key = canary()
    release = replace(
        place.python(
            "import os, time\n"
            "for n in range(50): print(n, os.environ['KEY'] * (n % 4), flush=True)\n"
            "time.sleep(600)\n"
        ),
        env={"KEY": key},
        secrets=frozenset({"KEY"}),
    )
    await place.apply(release)
    await place.logged("49 ")
    texts: list[str] = []
    cursor = (await place.driver().read_logs(place.service, None, 1000)).cursor
    assert (await place.driver().read_logs(place.service, cursor, 10)).lines == ()
    read = await place.driver().read_logs(place.service, _beginning(cursor), 7)
    while read.lines:
        texts += [line.text for line in read.lines if line.stream == "stdout"]
        read = await place.driver().read_logs(place.service, read.cursor, 7)
    assert [text.split(" ")[0] for text in texts][:50] == [str(n) for n in range(50)]
    assert texts[3] == "3 " + "[secret KEY]" * 3


def _beginning(cursor: str) -> str:
    positions = json.loads(base64.urlsafe_b64decode(cursor))
    return base64.urlsafe_b64encode(json.dumps(dict.fromkeys(positions, (0, 0))).encode()).decode()


async def test_planning_needs_no_values(place: Place) -> None:
    release = replace(place.release("sleep 600"), secrets=frozenset({"KEY"}))
    plan = await place.driver().plan(place.service, release)
    assert plan.refusals == ()


async def test_an_instance_from_before_is_understood(place: Place) -> None:
    """Its spec.json has everything in env, and nothing that came later; a newer one may have more."""
    release = place.release("sleep 600", env={"MARK": "1"})
    await place.apply(release)
    before = await place.until(release, lambda one: one.pid)
    file = place.folder(release) / "spec.json"
    read = json.loads(file.read_text())
    assert "handed" not in read
    file.write_text(json.dumps({**read, "env": {**read["env"], "OLD": "x"}, "later": [1]}))
    start = read_start(place.folder(release))
    assert start is not None
    assert start.env["OLD"] == "x"
    await place.apply(release)
    after = await place.see(release)
    assert after is not None
    assert after.pid == before.pid


@pytest.mark.parametrize("size", [1000, 65_000])
async def test_large_ones_arrive_whole(place: Place, size: int) -> None:
    key = "k" * size
    program = "import os, time; print(len(os.environ['KEY']), flush=True); time.sleep(600)"
    release = replace(place.python(program), env={"KEY": key}, secrets=frozenset({"KEY"}))
    await place.apply(release)
    assert (await place.logged(str(size))).text == str(size)
