"""A world's server through what happens to servers: its starter's end, kills, taken ports, moved homes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from deployd.drivers.api import DriverContext, Failed, Wait
from deployd.drivers.postgres import client, folder
from deployd.drivers.postgres import driver as driver_module
from deployd.drivers.postgres import server as server_module
from deployd.drivers.postgres.driver import create
from deployd.drivers.registry import create as create_by_name
from deployd.errors import Denied, InputError, Retryable, Terminal
from deployd.model.state import Health
from tests.integration.drivers.postgres.place import Place, finish, helper, query
from tests.integration.store.servers import (
    ROOT,
    as_root,
    changed,
    family,
    kill,
    on_linux,
    processes,
    wait_until,
)

APPLY = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from deployd.drivers.api import DriverContext, Wait
from deployd.drivers.postgres.driver import create
from tests.contract.provision_once import the_resource
async def main():
    driver = create({}, DriverContext(Path(sys.argv[1]), "here"))
    resource = the_resource(UUID(sys.argv[2]), "cart.db", "password")
    while isinstance(progress := await driver.apply(resource), Wait):
        await asyncio.sleep(progress.seconds)
    print(progress.outputs["url"], flush=True)
asyncio.run(main())
"""


async def test_it_outlives_whoever_started_it(place: Place) -> None:
    resource = place.resource()
    starter = await helper(place, "apply", resource)
    await starter.communicate(b"go\n")
    (pid,) = place.servers()
    outputs = await place.apply(resource)
    await query(outputs, "select 1")
    assert place.servers() == [pid]
    if sys.platform == "linux":
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        assert int(fields[3]) == pid != os.getsid(0)  # a session of its own: no Ctrl-C reaches it


async def test_kill_minus_nine_of_everything(place: Place) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    await query(outputs, "create table kept as select 42 as x")
    place.kill_server()
    assert await place.driver.observe(resource) is Health.MISSING
    assert await place.apply(resource) == outputs
    assert (await query(outputs, "select x from kept"))[0]["x"] == 42
    assert await place.driver.observe(resource) is Health.HEALTHY
    assert "not properly shut down" in (place.server_home / "postgres.log").read_text()


async def test_a_server_that_died_beside_its_busy_orphans(place: Place) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    busy = await asyncpg.connect(outputs["url"])
    orphan = busy.get_server_pid()
    try:
        # Computes without ever looking whether its server is still there.
        computing = asyncio.create_task(busy.execute("do $$ begin loop end loop; end $$"))
        while not await place.administer(
            f"select 1 from pg_stat_activity where pid = {orphan} and state = 'active'"
        ):
            await asyncio.sleep(0.01)
        os.kill(place.pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await place.apply(resource) == outputs
                    break
                except Retryable:
                    await asyncio.sleep(0.05)  # it was still dying when it was asked
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await computing
        assert orphan not in processes("")
    finally:
        busy.terminate()
        kill(*(pid for pid in processes("postgres: ") if pid == orphan))


async def test_a_server_that_does_not_answer_is_degraded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    held = family(place.server_home)
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(client, "CONNECTING", 0.3)
            assert await place.driver.observe(resource) is Health.DEGRADED
            with pytest.raises(Retryable, match="does not answer"):
                await place.driver.apply(resource)
    finally:
        for pid in held:
            os.kill(pid, signal.SIGCONT)
    assert await place.apply(resource) == outputs


async def test_a_database_dropped_by_hand_is_missing_and_made_again(place: Place) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    await place.administer(f"drop database {outputs['database']}")
    assert await place.driver.observe(resource) is Health.MISSING
    await place.administer(f"drop role {outputs['username']}")
    assert await place.driver.observe(resource) is Health.MISSING
    assert await place.apply(resource) == outputs
    await place.administer(f"alter role {outputs['username']} nologin")
    assert await place.driver.observe(resource) is Health.DEGRADED


@pytest.mark.parametrize("state", ["alive", "zombie"])
async def test_another_program_with_the_number_of_the_server_is_left_alone(place: Place, state: str) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    socket_folder = (place.server_home / "data" / "postmaster.pid").read_text().splitlines()[4]
    place.kill_server()
    other = subprocess.Popen(["sleep", "60"] if state == "alive" else ["true"], user=61182 if ROOT else None)
    try:
        if state == "zombie":
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        pid_file = place.server_home / "data" / "postmaster.pid"
        _, _, rest = pid_file.read_text().partition("\n")
        pid_file.write_text(f"{other.pid}\n{rest}")
        shutil.copy(pid_file, Path(socket_folder) / f".s.PGSQL.{outputs['port']}.lock")
        assert await place.driver.observe(resource) is Health.MISSING
        assert await place.apply(resource) == outputs
        await place.suspend(resource)
        assert state == "zombie" or other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_a_port_that_somebody_took_meanwhile(place: Place) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    await query(outputs, "create table kept (x int)")
    await place.suspend(resource)
    with socket.create_server(("127.0.0.1", int(outputs["port"]))):
        progress = await place.driver.apply(resource)
        assert isinstance(progress, Failed)
        assert progress.reason.code == "PORT_TAKEN"
        assert outputs["port"] in progress.reason.summary
        if sys.platform == "linux":
            assert f"process {os.getpid()}" in progress.reason.summary
    assert await place.apply(resource) == outputs
    await query(outputs, "table kept")


async def test_a_port_that_is_taken_in_the_last_moment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen free, and taken before the server had it: the first time it gets another one, later none."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with monkeypatch.context() as patched:
            patched.setattr(driver_module, "STARTING", 30.0)  # in one call it starts and fails
            patched.setattr(server_module, "choose_port", lambda *_: taken)
            resource = place.resource()
            assert isinstance(await place.driver.apply(resource), Wait)
            assert place.servers() == []
        outputs = await place.apply(resource)
        assert int(outputs["port"]) != taken
        await place.suspend(resource)
        with socket.create_server(("127.0.0.1", int(outputs["port"]))):
            with monkeypatch.context() as patched:
                patched.setattr(driver_module, "STARTING", 30.0)
                patched.setattr(server_module, "is_free", lambda _: True)
                progress = await place.driver.apply(resource)
            assert isinstance(progress, Failed)
            assert progress.reason.code == "PORT_TAKEN"
    assert await place.apply(resource) == outputs


async def test_no_port_is_free(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        narrow = create({"first_port": port, "last_port": port}, DriverContext(place.home, "here"))
        with pytest.raises(Retryable, match=f"no port from {port} to {port} is free"):
            await narrow.apply(place.resource())


async def test_worlds_have_servers_of_their_own(place: Place) -> None:
    one = place.resource()
    other = replace(place.resource(), world_id=8, world="other")
    outputs = await place.apply(one), await place.apply(other)
    assert outputs[0]["port"] != outputs[1]["port"]
    assert len(place.servers()) == 2
    await place.destroy(one)
    await query(outputs[1], "select 1")
    assert not place.server_home.exists()


async def test_a_long_home_with_odd_letters(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    there = Place(place.root / ("long, \"b\" & 'c' @:%é" * 4))
    resource = there.resource()
    outputs = await there.apply(resource)
    listens = Path((there.server_home / "data" / "postmaster.pid").read_text().splitlines()[4])
    assert listens.parent == Path("/tmp")
    await query(outputs, "select 1")
    await there.suspend(resource)
    assert not listens.exists()
    assert await there.apply(resource) == outputs
    there.kill_server()
    assert await there.apply(resource) == outputs
    await there.destroy(resource)
    assert not listens.exists()
    assert there.names() == {"7.lock"}


@as_root
@on_linux
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
async def test_an_ordinary_user_runs_it_as_himself(place: Place) -> None:
    os.chown(place.root, 65534, 65534)
    user = ("setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups")
    # Lets him read a Python that belongs to root.
    capability = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    resource = place.resource()
    command = (*user, *capability, sys.executable, "-c", APPLY, place.home, resource.resource_id)
    for _ in range(2):  # started, and found again
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        assert await query({"url": done.stdout.strip()}, "select 1")
    (pid,) = place.servers()
    assert Path(f"/proc/{pid}").stat().st_uid == 65534


@as_root
async def test_a_home_that_the_server_cannot_reach(place: Place) -> None:
    place.root.chmod(0o700)
    with pytest.raises(Terminal, match="cannot pass through") as raised:
        await place.driver.apply(place.resource())
    assert f"chmod o+x {place.root}" in raised.value.remedy
    place.root.chmod(0o711)


async def test_a_password_that_does_not_belong_to_the_data(place: Place) -> None:
    resource = place.resource()
    await place.apply(resource)
    with changed(place.server_home / "password", "another"), pytest.raises(Denied, match="refuses deployd"):
        await place.driver.apply(resource)
    await place.apply(resource)


async def test_a_server_that_cannot_start_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    await place.suspend(resource)
    with changed(place.server_home / "data" / "postgresql.auto.conf", "work_mem = 'plenty'\n"):
        with monkeypatch.context() as patched:
            patched.setattr(driver_module, "STARTING", 30.0)
            with pytest.raises(Retryable, match="ended while it started") as raised:
                await place.driver.apply(resource)
        assert 'invalid value for parameter "work_mem": "plenty"' in raised.value.evidence
    assert await place.apply(resource) == outputs


async def test_one_that_stops_too_slowly_is_told_to_drop_everything(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ENDING", 0.2)
    resource = place.resource()
    outputs = await place.apply(resource)
    await query(outputs, "create table kept (x int)")
    checkpointer = next(
        row["pid"]
        for row in await place.administer("select pid, backend_type from pg_stat_activity")
        if row["backend_type"] == "checkpointer"
    )
    os.kill(checkpointer, signal.SIGSTOP)  # so that a clean shutdown never ends
    try:
        assert isinstance(await place.driver.suspend(resource), Wait)
        monkeypatch.setattr(server_module, "OVERDUE", 0.0)
        # It kills what does not react within five seconds.
        await finish(lambda: place.driver.suspend(resource))
    finally:
        kill(*(pid for pid in [checkpointer] if pid in processes("postgres: ")))
    assert await place.apply(resource) == outputs
    await query(outputs, "table kept")


async def test_the_lock_of_another_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LOCK_PATIENCE", 0.05)
    resource = place.resource()
    async with folder.Folder(place.home, 7).locked():
        for call in (place.driver.apply, place.driver.suspend, place.driver.destroy):
            progress = await call(resource)
            assert progress == driver_module._busy()


def test_wrong_settings(tmp_path: Path) -> None:
    for settings in ({"port": 1}, {"first_port": "1"}, {"first_port": True}, {"first_port": 32_000}):
        with pytest.raises(InputError) as raised:
            create_by_name("local/postgres", settings, DriverContext(tmp_path, "here"))
        assert raised.value.remedy


async def test_one_that_was_told_to_stop_is_wanted_again(place: Place) -> None:
    """Even where it was told to wait for those who are connected, who stay."""
    resource = place.resource()
    outputs = await place.apply(resource)
    for number in (signal.SIGINT, signal.SIGTERM):
        stays = await asyncpg.connect(outputs["url"])
        try:
            os.kill(place.pid, number)
            wait_until(lambda: not place.says_ready())
            assert await place.apply(resource) == outputs
            await query(outputs, "select 1")
        finally:
            stays.terminate()
    assert len(place.servers()) == 1


async def test_a_home_by_two_names_has_one_server(place: Place) -> None:
    link = place.root / "link"
    link.symlink_to(place.root / "home")
    resource = place.resource()
    outputs = await place.apply(resource)
    by_link = create({}, DriverContext(link, "here"))
    assert (await finish(lambda: by_link.apply(resource))).outputs == outputs
    assert len(place.servers()) == 1
