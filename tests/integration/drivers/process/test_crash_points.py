"""deployd is killed at named points of a start; what it left is adopted or put right."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from uuid import uuid4

import pytest

from deployd.drivers.api import Wait
from deployd.drivers.process import client
from deployd.drivers.process.instance import read_start, read_status
from deployd.errors import Retryable
from tests.contract.apply_once import marked_release
from tests.integration.drivers.process.place import Place, finish, gone, processes, started

KILLER = """
import os, signal, subprocess, sys
from deployd.drivers import detached
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
    detached.subprocess.Popen = Popen
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
    assert len(started(release.env["MARK"])) == 1
    if intent is not None:
        assert read_start(place.folder(release)) == intent


async def test_a_supervisor_that_is_just_starting_is_left_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it died at once: it holds its lock but has not said yet that it lives."""
    release = marked_release(uuid4(), 1, "sleep 600", place.tree)
    await place.apply(release)
    shim = read_status(place.folder(release))
    os.kill(shim.shim, signal.SIGKILL)
    gone(shim.pid, shim.birth)
    intent = read_start(place.folder(release))
    monkeypatch.setattr(client, "LOCK_PATIENCE", 0.1)
    assert intent is not None
    # Its program listens already, so the port is not free any more: that must not give it another one.
    program = socket.create_server(("127.0.0.1", intent.ports["http"]), reuse_port=False)
    with program, (place.folder(release) / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Retryable):
            await place.driver().apply(place.service, release, alone=True)
        assert isinstance(await place.driver().destroy(place.service), Wait)
    assert processes(release.env["MARK"]) == []
    assert read_start(place.folder(release)) == intent
    await place.apply(release)
    assert len(started(release.env["MARK"])) == 1
