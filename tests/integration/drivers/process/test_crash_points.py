"""deployd is killed at named points of a start; what it left is adopted or put right."""

from __future__ import annotations

import subprocess
import sys
from uuid import uuid4

import pytest

from deployd.drivers.process.instance import read_start
from tests.contract.apply_once import marked_release
from tests.integration.drivers.process.place import Place, finish, processes

KILLER = """
import os, signal, subprocess, sys
from deployd.drivers.process import client
point = sys.argv.pop(1)
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if point == "before the intent":
    client.write_whole = die
elif point == "before the start":
    client.Client._launch = die
elif point == "while it starts":
    class Popen(subprocess.Popen):
        def communicate(self, *_, **__):
            die()
    client.subprocess.Popen = Popen
elif point == "after the start":
    client._await_status = die
import asyncio
from tests.contract.apply_once import main
asyncio.run(main(*sys.argv[1:]))
"""
POINTS = ["before the intent", "before the start", "while it starts", "after the start"]


@pytest.mark.parametrize("point", POINTS)
async def test_killed(place: Place, point: str) -> None:
    release = marked_release(uuid4(), 1, "sleep 600", place.tree)
    where = (place.home, place.tree, place.service.service_id, release.release_id, 1)
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, point, "deploy:process", *map(str, where)],
        input=b"go\n",
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    intent = read_start(place.folder(release))
    assert (intent is None) == (point == "before the intent")
    driver = place.driver(grace_seconds=10)
    await finish(lambda: driver.apply(place.service, release, alone=True))
    assert len(processes(release.spec.env["MARK"])) == 1
    if intent is not None:
        assert read_start(place.folder(release)) == intent
