"""The embedded Postgres through everything that happens to servers: kills, leftovers, damage."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import asyncpg
import pytest

from deployd.errors import PostgresUnavailable
from deployd.postgres.account import SERVER
from deployd.postgres.serving import LARGEST_LOG
from deployd.store.embedded import EmbeddedPostgres
from tests.integration.store.servers import (
    ROOT,
    changed,
    family,
    fetchval,
    first_process,
    kill,
    moved,
    on_linux,
    processes,
    serving,
    wait_until,
)


async def test_what_is_written_is_there_after_the_next_start(home: Path) -> None:
    async with EmbeddedPostgres(home) as postgres:
        dsn = await postgres.start()  # once more only answers
        await fetchval(dsn, "create table t as select 42 as x")
    assert not processes(f"-D {home}")

    async with EmbeddedPostgres(home) as postgres:
        assert await postgres.start() == dsn
        assert await fetchval(dsn, "select x from t") == 42
        assert await fetchval(dsn, "show server_version_num") >= "180000"  # type: ignore[operator]
        assert await fetchval(dsn, "show listen_addresses") == ""
        assert await fetchval(dsn, "show fsync") == "on"
        assert await fetchval(dsn, "select upper('é') || ('Z' < 'a')") == "Étrue"
    assert not list(home.glob("part-*"))


async def test_a_connection_needs_the_password(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        dsn = await postgres.start()
        password = (used / "password").read_text()
        assert f":{password}@" in dsn
        for wrong in ("", ":wrong"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(dsn.replace(f":{password}@", f"{wrong}@"), passfile=used / "none")


async def test_a_second_one_on_the_same_home_is_refused(used: Path) -> None:
    second = EmbeddedPostgres(used)
    with serving(used) as (pid, dsn):
        with pytest.raises(PostgresUnavailable, match=f"in use by process {pid}"):
            await second.start()
        await second.stop()
        assert await fetchval(dsn, "select 1") == 1

    assert await second.start() == dsn
    await second.stop()


@on_linux
async def test_the_server_shuts_down_cleanly_when_its_parent_is_killed(used: Path) -> None:
    with serving(used) as (_, dsn):
        await fetchval(dsn, "create table bereaved as select 42 as x")
    wait_until(lambda: not processes(f"-D {used}"))
    assert not (used / "data" / "postmaster.pid").exists()

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select x from bereaved") == 42
    said = (used / "postgres.log").read_text()
    assert "received fast shutdown request" in said
    assert "not properly shut down" not in said


async def test_a_start_right_after_the_parent_was_killed_waits_for_the_old_server(used: Path) -> None:
    with serving(used) as (_, dsn):
        await fetchval(dsn, "create table waited as select 42 as x")

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select x from waited") == 42
    assert "not properly shut down" not in (used / "postgres.log").read_text()


async def test_a_server_that_outlived_its_parent_is_ended(used: Path) -> None:
    """As where the kernel cannot bind lives: started by hand, with nobody left who would stop it."""
    async with EmbeddedPostgres(used):
        command = subprocess.run(
            ["ps", "-wwo", "command=", "-p", str(first_process(used))],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    left = subprocess.Popen(
        command, cwd="/", user=SERVER.uid if ROOT else None, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_until((used / "socket" / ".s.PGSQL.5432").exists)
        async with EmbeddedPostgres(used) as postgres:
            assert left.wait(1) == 0
            assert await fetchval(await postgres.start(), "select 1") == 1
    finally:
        left.kill()
        left.wait()


async def test_what_was_committed_survives_killing_everything_at_once(used: Path) -> None:
    with serving(used) as (pid, dsn):
        await fetchval(dsn, "create table killed as select 42 as x")
        kill(*family(used), pid)

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select x from killed") == 42
    assert "not properly shut down" in (used / "postgres.log").read_text()


async def test_a_server_that_dies_is_noticed_and_started_again_beside_its_busy_orphans(used: Path) -> None:
    postgres = EmbeddedPostgres(used)
    dsn = await postgres.start()
    keeping = asyncio.create_task(postgres.keep())
    busy = await asyncpg.connect(dsn)
    orphan = busy.get_server_pid()
    try:
        # Computes without ever looking whether its server is still there.
        computing = asyncio.create_task(busy.execute("do $$ begin loop end loop; end $$"))
        while await fetchval(dsn, f"select state from pg_stat_activity where pid = {orphan}") != "active":
            await asyncio.sleep(0.01)
        exited = asyncio.create_task(postgres.wait_exited())
        await asyncio.sleep(0)
        first = first_process(used)
        os.kill(first, signal.SIGKILL)
        assert await asyncio.wait_for(exited, 30) == -signal.SIGKILL
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await asyncio.wait_for(computing, 30)

        deadline = time.monotonic() + 30
        while True:
            try:
                assert await fetchval(dsn, "select 1") == 1
                break
            except (OSError, asyncpg.PostgresError):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        assert first_process(used) != first
        assert orphan not in processes("")
    finally:
        busy.terminate()
        await postgres.stop()
        kill(*(pid for pid in processes("postgres: ") if pid == orphan))

    await asyncio.wait_for(keeping, 30)
    assert await postgres.wait_exited() is None
    await postgres.stop()  # once more does no harm
    assert not processes(f"-D {used}")


@pytest.mark.parametrize("state", ["alive", "zombie"])
async def test_another_program_with_the_number_of_an_old_server_is_left_alone(used: Path, state: str) -> None:
    async with EmbeddedPostgres(used) as postgres:
        dsn = await postgres.start()
    command = ["sleep", "60"] if state == "alive" else ["true"]
    other = subprocess.Popen(command, user=SERVER.uid if ROOT else None)
    try:
        if state == "zombie":
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        (used / "data" / "postmaster.pid").write_text(
            f"{other.pid}\n{used}/data\n1700000000\n5432\n{used}/socket\n\n         1         1\nready   \n"
        )
        shutil.copy(used / "data" / "postmaster.pid", used / "socket" / ".s.PGSQL.5432.lock")
        async with EmbeddedPostgres(used):
            assert await fetchval(dsn, "select 1") == 1
        assert state == "zombie" or other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_a_pid_file_cut_short_by_a_power_failure_does_no_harm(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        dsn = await postgres.start()
    (used / "data" / "postmaster.pid").touch()

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select 1") == 1


async def test_a_cancelled_start_leaves_nothing_behind(home: Path) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(EmbeddedPostgres(home).start(), 0.1)
    assert not processes(f"-D {home}")

    async with EmbeddedPostgres(home) as postgres:
        assert await fetchval(await postgres.start(), "select 1") == 1


async def test_a_server_that_cannot_start_says_why_and_can_be_mended(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        dsn = await postgres.start()
    with changed(used / "data" / "postgresql.auto.conf", "work_mem = 'plenty'\n"):
        with pytest.raises(PostgresUnavailable, match="ended with status 1") as caught:
            await postgres.start()
        assert 'invalid value for parameter "work_mem": "plenty"' in caught.value.evidence
        assert "database system is shut down" not in caught.value.evidence  # an earlier run's
        assert "postgres.log" in caught.value.remedy

    assert await postgres.start() == dsn
    await postgres.stop()


async def test_a_password_that_does_not_belong_to_the_data_is_told(used: Path) -> None:
    with changed(used / "password", "another"), pytest.raises(PostgresUnavailable, match="refuses deployd"):
        await EmbeddedPostgres(used).start()
    assert not processes(f"-D {used}")


async def test_a_large_log_is_put_aside_at_start(used: Path) -> None:
    with (used / "postgres.log").open("wb") as file:
        file.truncate(LARGEST_LOG + 1)

    async with EmbeddedPostgres(used):
        assert (used / "postgres.log").stat().st_size < 100_000
    assert (used / "postgres.log.1").stat().st_size == LARGEST_LOG + 1


async def test_a_long_home_gets_a_short_socket(
    used: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with moved(used, folder / ("long," * 20) / "postgres") as home:
        postgres = EmbeddedPostgres(home)
        async with postgres:
            assert await fetchval(await postgres.start(), "select 1") == 1
            (socket,) = Path("/tmp").glob(f"{postgres._title}*")
            assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert not socket.exists()

        # Somebody who was there first is not trusted.
        socket.symlink_to(folder)
        try:
            with pytest.raises(PostgresUnavailable, match=str(socket)):
                await postgres.start()
        finally:
            socket.unlink()
        if ROOT:
            socket.mkdir()
            os.chown(socket, 12345, 12345)
            try:
                with pytest.raises(PostgresUnavailable, match=str(socket)) as caught:
                    await postgres.start()
                assert "12345" in caught.value.evidence
            finally:
                socket.rmdir()


async def test_a_home_with_odd_letters_works_too(used: Path, folder: Path) -> None:
    with moved(used, folder / "a, \"b\" & 'c' @:%é") as home:
        with serving(home):
            pass
        async with EmbeddedPostgres(home) as postgres:
            assert await fetchval(await postgres.start(), "select 1") == 1
        assert "not properly shut down" not in (home / "postgres.log").read_text()
