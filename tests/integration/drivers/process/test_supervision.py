"""Starting, dying, restarting, stopping: with real programs and real signals."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from deployd.drivers.api import Done, Failed, Wait
from deployd.drivers.process import health
from deployd.drivers.process.client import SHIM
from deployd.drivers.process.instance import read_start, read_status, status_text
from deployd.drivers.process.shim.handed import Handed, handed_text
from deployd.drivers.process.shim.kernel import birth
from deployd.drivers.process.shim.supervisor import ALREADY, BROKEN, STOPPED
from deployd.model.state import Health
from tests.integration.drivers.process.place import PATIENCE, Place, finish, gone, processes, started


async def test_it_starts_and_stops(place: Place) -> None:
    token = f"token-{uuid4()}"
    program = f"""
import os, signal, sys, time
# Not print: the signal may come while the line below is being printed, and a buffer is not re-entrant.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.write(1, b"good bye\\n") * 0))
print("hello {token}", flush=True)
time.sleep(60)
"""
    release = place.python(program, env={"TOKEN": token})
    await place.apply(release)
    line = await place.logged(token)
    assert line.instance == "cart-1"
    assert len(started(token)) == 1
    await place.destroy(release.release_id)
    assert processes(token) == []
    await place.logged("good bye")
    assert (await place.driver().observe(place.service)).instances == ()


async def test_a_shell_line_gives_its_signals_to_the_program(place: Place) -> None:
    program = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.write(1, b"got it\\n") * 0))
print("up", sys.argv[1], flush=True)
time.sleep(60)
"""
    place.write("wait.py", program)
    release = place.release("/usr/bin/python3 wait.py $WORD", env={"WORD": "expanded"})
    await place.apply(release)
    await place.logged("up expanded")
    pid = (await place.until(release, lambda seen: seen.pid)).pid
    assert Path(f"/proc/{pid}/exe").resolve().name.startswith("python3")
    await place.destroy()
    await place.logged("got it")


async def test_a_killed_service_is_restarted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    token = str(uuid4())
    release = place.release("sleep 600", env={"TOKEN": token})
    await place.apply(release)
    first = await place.until(release, lambda seen: seen.pid)
    assert first.pid
    os.kill(first.pid, signal.SIGKILL)
    with monkeypatch.context() as patched:
        patched.setattr(health, "STEADY", 3600.0)  # however late it is looked at
        again = await place.until(release, lambda seen: seen.pid not in {None, first.pid})
    assert again.restarts == 1
    assert again.reason is not None
    assert "signal 9" in again.reason.summary
    await place.until(release, lambda seen: processes(token) == [seen.pid])
    assert (await place.until(release, lambda seen: seen.health is Health.HEALTHY)).restarts == 1


async def test_a_killed_supervisor_takes_its_program_along(place: Place) -> None:
    token = str(uuid4())
    release = place.release("sleep 600", env={"TOKEN": token})
    await place.apply(release)
    first = await place.until(release, lambda seen: seen.pid)
    assert first.pid
    born = birth(first.pid)
    os.kill(place.shim(release), signal.SIGKILL)
    gone(first.pid, born)
    missing = await place.until(release, lambda seen: seen.health is Health.MISSING)
    assert missing.pid is None
    assert missing.reason is not None
    before = read_start(place.folder(release))
    await place.apply(release)
    again = await place.until(release, lambda seen: seen.pid)
    assert processes(token) == [again.pid]
    assert read_start(place.folder(release)) == before


async def test_what_a_killed_supervisor_left_is_ended(place: Place) -> None:
    token = str(uuid4())
    place.write("fork.sh", "sleep 500 &\nsleep 500 &\nwait\n")
    release = place.release("/bin/sh fork.sh", env={"TOKEN": token})
    await place.apply(release)
    seen = await place.until(release, lambda _: len(processes(token)) == 3)
    assert seen.pid
    born = birth(seen.pid)
    os.kill(place.shim(release), signal.SIGKILL)
    gone(seen.pid, born)
    assert len(processes(token)) == 2  # its children know nothing of it
    await place.apply(release)
    again = await place.until(release, lambda _: len(processes(token)) == 3)
    assert again.pid in processes(token)
    os.kill(place.shim(release), signal.SIGKILL)
    await place.until(release, lambda seen: seen.health is Health.MISSING)
    await place.destroy()
    assert processes(token) == []


async def test_who_ignores_the_signal_is_killed_with_all_its_own(place: Place) -> None:
    token = str(uuid4())
    place.write(
        "stubborn.sh",
        "trap '' TERM\nsetsid sleep 500 &\nsleep 500 &\necho ready\nwhile :; do wait; sleep 500; done\n",
    )
    release = place.release("/bin/sh stubborn.sh", env={"TOKEN": token})
    driver = place.driver(grace_seconds=5)  # it is asked three times meanwhile
    await finish(lambda: driver.apply(place.service, release, alone=True))
    await place.logged("ready")
    await place.until(release, lambda _: len(processes(token)) >= 3)
    progress = await place.driver().destroy(place.service, release.release_id)
    assert isinstance(progress, Wait)
    assert "cart-1" in progress.note
    (stopping,) = (await place.driver().observe(place.service)).instances
    assert stopping.reason is not None
    assert stopping.reason.code == "STOPPING"
    assert isinstance(await place.driver().apply(place.service, release, alone=True), Wait)
    await place.destroy(release.release_id)
    assert processes(token) == []
    await place.logged("killed", "deployd")


async def test_children_do_not_outlive_a_crash(place: Place) -> None:
    token = str(uuid4())
    place.write("crash.sh", "setsid sleep 500 &\nsleep 500 &\nsleep 0.2\nexit 4\n")
    release = place.release("/bin/sh crash.sh", env={"TOKEN": token})
    await place.apply(release)
    await place.logged("exited with code 4", "deployd")
    await place.until(release, lambda seen: read_status(place.folder(release)).failures >= 2)
    assert len(processes(token)) <= 4  # of one run, never of two


async def test_a_crash_loop_is_degraded_with_its_last_words(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = place.python("import sys\nprint('no such table: carts')\nsys.exit(7)")
    await place.apply(release)
    with monkeypatch.context() as patched:
        patched.setattr(health, "LOOP", 10**6)  # however late it is looked at
        seen = await place.until(release, lambda seen: seen.reason)
    assert seen.health is Health.PROGRESSING
    seen = await place.until(release, lambda seen: seen.health is Health.DEGRADED)
    assert seen.reason is not None
    assert seen.reason.code == "CRASH_LOOP"
    assert "exited with code 7" in seen.reason.summary
    assert "no such table: carts" in seen.reason.evidence
    assert seen.reason.remedy
    await place.destroy()


async def test_what_cannot_be_executed_says_so(place: Place) -> None:
    place.write("bad.sh", "#!/no/such/interpreter\n").chmod(0o755)
    release = place.release("./bad.sh")
    await place.apply(release)
    seen = await place.until(release, lambda seen: seen.reason)
    assert seen.reason is not None
    assert "could not be executed: ./bad.sh: No such file" in seen.reason.summary


async def test_alone_ends_the_others_and_back_again(place: Place) -> None:
    token = str(uuid4())
    one, two = (place.release("sleep 600", env={"TOKEN": token}, ports={"http": 80}) for _ in range(2))
    await place.apply(one)
    await place.apply(two, alone=False)
    both = (await place.driver().observe(place.service)).instances
    assert [seen.release_id for seen in both] == [one.release_id, two.release_id]
    assert len({seen.address for seen in both}) == 2
    assert len(processes(token)) == 2
    await place.apply(two)
    assert len(started(token)) == 1
    assert await place.see(one) is None
    await place.apply(one)  # a rollback
    back = await place.until(one, lambda seen: seen.pid)
    assert processes(token) == [back.pid]
    assert back.address == both[0].address


async def test_a_taken_port_is_replaced(place: Place) -> None:
    release = place.release("sleep 600", ports={"http": 80})
    done = await place.apply(release)
    await place.destroy()
    port = int(done.outputs["url"].rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        again = await place.apply(release)
    assert again.outputs["url"] != done.outputs["url"]
    start = read_start(place.folder(release))
    assert start is not None
    assert start.env["PORT"] == str(start.ports["http"]) == again.outputs["url"].rpartition(":")[2]


async def test_only_the_newest_stopped_folders_are_kept(place: Place) -> None:
    releases = [place.release("sleep 600") for _ in range(7)]
    for release in releases:
        await place.apply(release)
    await place.destroy()
    await place.destroy()
    kept = {folder.name for folder in place.folder(releases[0]).parent.iterdir() if len(folder.name) == 36}
    assert kept == {str(release.release_id) for release in releases[2:]}


async def test_a_stopped_one_does_not_come_back(place: Place) -> None:
    """Even when its supervisor is started by hand, or was still on its way when it was stopped."""
    token = str(uuid4())
    release = place.release("sleep 600", env={"TOKEN": token})
    await place.apply(release)
    command = [sys.executable, "-I", "-S", str(SHIM), str(place.folder(release))]
    assert subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == ALREADY
    assert len(started(token)) == 1
    await place.destroy()
    assert subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == STOPPED
    assert processes(token) == []


async def test_nothing_runs_that_is_not_on_record(place: Place) -> None:
    token = str(uuid4())
    release = place.release("sleep 600", env={"TOKEN": token})
    await place.apply(release)
    await place.destroy()
    folder = place.folder(release)
    (folder / "stop").unlink()
    (folder / "status.json").unlink()
    (folder / "status.json").mkdir()
    (folder / "status.json" / "in the way").touch()
    command = [sys.executable, "-I", "-S", str(SHIM), str(folder)]
    run = partial(subprocess.run, command, check=False, timeout=PATIENCE, capture_output=True)
    assert run(input=b"").returncode == BROKEN
    assert run(input=handed_text(Handed())[:-1]).returncode == BROKEN
    assert (folder / "shim.err").read_text() == ""
    assert run(input=handed_text(Handed())).returncode == BROKEN
    end = time.monotonic() + PATIENCE
    while processes(str(folder)):  # not even what was about to become the program
        assert time.monotonic() < end
    assert processes(token) == []
    assert "status.json" in (folder / "shim.err").read_text()
    shutil.rmtree(folder)


async def test_a_stop_that_was_never_asked_for_has_its_grace(place: Place) -> None:
    """deployd died between the marker and the signal, long ago."""
    program = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.write(1, b"bye\\n") * 0))
print("up", flush=True)
time.sleep(60)
"""
    release = place.python(program)
    await place.apply(release)
    await place.logged("up")
    marker = place.folder(release) / "stop"
    marker.touch()
    os.utime(marker, (0, 0))
    await place.destroy()
    await place.logged("bye")


async def test_a_recycled_number_is_never_signalled(place: Place) -> None:
    """The status speaks of a process whose number another one has by now: this test's own."""
    release = place.release("sleep 600")
    await place.apply(release)
    shim = place.shim(release)
    born = birth(shim)
    os.kill(shim, signal.SIGKILL)
    gone(shim, born)
    file = place.folder(release) / "status.json"
    status = read_status(place.folder(release))
    mine = replace(status, shim=os.getpid(), pid=os.getpid(), birth=str(status.shim_birth))
    file.write_text(status_text(mine))
    assert isinstance(await place.driver().destroy(place.service), Done)


async def test_a_release_that_cannot_start_fails(place: Place) -> None:
    progress = await place.driver().apply(place.service, place.release("no-such-program"), alone=True)
    assert isinstance(progress, Failed)
    assert progress.reason.code == "PROGRAM_MISSING"


async def test_a_hung_supervisor_is_killed_in_the_end(place: Place) -> None:
    token = str(uuid4())
    release = place.release("sleep 600", env={"TOKEN": token})
    driver = place.driver(grace_seconds=0)
    await finish(lambda: driver.apply(place.service, release, alone=True))
    shim = place.shim(release)
    os.kill(shim, signal.SIGSTOP)
    assert isinstance(await driver.destroy(place.service), Wait)
    marker = place.folder(release) / "stop"
    os.utime(marker, (marker.stat().st_atime - 60, marker.stat().st_mtime - 60))
    await finish(lambda: driver.destroy(place.service))
    assert processes(token) == []
