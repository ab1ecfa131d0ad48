"""Migrations against a real database: each once, whoever starts when, and a plain refusal otherwise."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from deployd.errors import MigrationError, PostgresUnavailable
from deployd.store.embedded import EmbeddedPostgres
from deployd.store.migrator import LOCK, migrate
from tests.conftest import scratch

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIGRATE = """
import asyncio, sys
from pathlib import Path
from deployd.store.migrator import migrate
print(*asyncio.run(migrate(sys.argv[1], Path(sys.argv[2]))))
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[str]:
    home = scratch("deployd-test-")
    postgres = EmbeddedPostgres(home / "postgres")
    try:
        yield await postgres.start()
    finally:
        await postgres.stop()
        shutil.rmtree(home)


@pytest_asyncio.fixture(loop_scope="module")
async def dsn(server: str) -> str:
    """An empty database."""
    await fetch(server, "drop schema public cascade")
    await fetch(server, "create schema public")
    await fetch(server, "grant usage on schema public to public")
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("create table first (id int);\ninsert into first values (1);\n")
    (tmp_path / "0002_second.sql").write_text("create table second as select id from first;\n")
    return tmp_path


async def fetch(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_what_is_missing_is_applied_once_in_order(dsn: str, folder: Path) -> None:
    assert await migrate(dsn, folder) == ("0001_first.sql", "0002_second.sql")
    assert await migrate(dsn, folder) == ()
    (folder / "0003_third.sql").write_text("insert into second values (3)")
    assert await migrate(dsn, folder) == ("0003_third.sql",)

    assert [row["id"] for row in await fetch(dsn, "select id from second order by id")] == [1, 3]
    rows = await fetch(dsn, "select * from schema_migrations order by version")
    assert [(row["version"], row["name"]) for row in rows] == [
        (1, "0001_first.sql"),
        (2, "0002_second.sql"),
        (3, "0003_third.sql"),
    ]
    assert rows[0]["sha256"] == hashlib.sha256((folder / "0001_first.sql").read_bytes()).hexdigest()


async def test_the_migrations_that_are_shipped_apply_to_an_empty_database(dsn: str) -> None:
    applied = await migrate(dsn)

    assert applied[0].startswith("0001_")
    assert await migrate(dsn) == ()


async def test_four_processes_at_once_on_an_empty_database_apply_each_file_once(
    dsn: str, folder: Path
) -> None:
    for number in range(3, 7):
        (folder / f"000{number}_more.sql").write_text(
            f"select pg_sleep(0.02); insert into first values ({number});"
        )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, dsn, str(folder), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    outputs = [(await process.communicate())[0].decode().split() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sorted(name for output in outputs for name in output) == sorted(
        one.name for one in folder.iterdir()
    )
    assert [row["id"] for row in await fetch(dsn, "select id from first order by id")] == [1, 3, 4, 5, 6]


async def test_an_applied_file_that_was_changed_is_refused(dsn: str, folder: Path) -> None:
    await migrate(dsn, folder)
    (folder / "0001_first.sql").write_text("create table first (id bigint);")
    (folder / "0003_third.sql").write_text("create table third ();")

    with pytest.raises(MigrationError, match=r"0001_first\.sql is not what was applied") as caught:
        await migrate(dsn, folder)

    assert "new migration" in caught.value.remedy
    assert not await fetch(dsn, "select 1 from pg_tables where tablename = 'third'")


@pytest.mark.parametrize("name", ["0004_late.sql", "0002_double.sql"])
async def test_a_gap_or_a_double_is_refused_before_anything_is_applied(
    dsn: str, folder: Path, name: str
) -> None:
    (folder / name).write_text("create table late ();")

    with pytest.raises(MigrationError, match=r"should have the number 0003") as caught:
        await migrate(dsn, folder)

    assert "gaps" in caught.value.remedy
    assert not await fetch(dsn, "select 1 from pg_tables where schemaname = 'public'")


async def test_a_file_whose_name_is_none_of_a_migration_is_refused(dsn: str, folder: Path) -> None:
    (folder / "3_third.sql").write_text("create table third ();")

    with pytest.raises(MigrationError, match=r"3_third\.sql"):
        await migrate(dsn, folder)


async def test_a_folder_without_migrations_is_refused(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="no migrations"):
        await migrate(dsn, tmp_path)


async def test_a_database_that_is_newer_than_the_files_is_refused(dsn: str, folder: Path) -> None:
    await migrate(dsn, folder)
    (folder / "0002_second.sql").unlink()

    with pytest.raises(MigrationError, match=r"0002_second\.sql; .* up to 0001_first\.sql") as caught:
        await migrate(dsn, folder)

    assert "newer deployd" in caught.value.remedy


async def test_a_database_that_lost_a_row_is_refused(dsn: str, folder: Path) -> None:
    await migrate(dsn, folder)
    await fetch(dsn, "delete from schema_migrations where version = 1")

    with pytest.raises(MigrationError, match=r"0002_second\.sql but no migration 0001"):
        await migrate(dsn, folder)


async def test_a_file_that_fails_leaves_the_database_as_before_it_and_can_be_repeated(
    dsn: str, folder: Path
) -> None:
    (folder / "0003_third.sql").write_text("create table third ();\n\nselect nonsense from first;\n")

    with pytest.raises(MigrationError, match=r'0003_third\.sql:3: column "nonsense" does not exist'):
        await migrate(dsn, folder)

    names = await fetch(dsn, "select tablename from pg_tables where schemaname = 'public' order by 1")
    assert [row["tablename"] for row in names] == ["first", "schema_migrations", "second"]
    (folder / "0003_third.sql").write_text("create table third ();")
    assert await migrate(dsn, folder) == ("0003_third.sql",)


async def test_a_file_without_its_row_is_not_there_either(dsn: str, folder: Path) -> None:
    (folder / "0003_third.sql").write_text(
        "create table third (); insert into schema_migrations values (3, 'in the way', '');"
    )

    with pytest.raises(MigrationError, match=r"0003_third\.sql: duplicate key"):
        await migrate(dsn, folder)

    assert not await fetch(dsn, "select 1 from pg_tables where tablename = 'third'")


async def test_who_migrates_already_is_waited_for(dsn: str, folder: Path) -> None:
    holder = await asyncpg.connect(dsn)
    await holder.execute(f"select pg_advisory_lock({LOCK})")
    migrating = asyncio.create_task(migrate(dsn, folder))
    try:
        done, _ = await asyncio.wait([migrating], timeout=0.2)
        assert not done
    finally:
        await holder.close()

    assert await migrating == ("0001_first.sql", "0002_second.sql")


async def test_who_migrates_for_too_long_is_named(dsn: str, folder: Path) -> None:
    holder = await asyncpg.connect(dsn)
    try:
        await holder.execute(f"select pg_advisory_lock({LOCK})")
        with pytest.raises(MigrationError, match=r"migrating the database for 0\.1 s") as caught:
            await migrate(dsn, folder, timeout=0.1)
        assert f"pid={holder.get_server_pid()}" in caught.value.evidence
    finally:
        await holder.close()


async def test_a_role_that_may_not_create_tables_is_refused(dsn: str, folder: Path) -> None:
    await fetch(dsn, "create role reader login password 'x'")
    _, _, where = dsn.partition("@")

    with pytest.raises(MigrationError, match="permission denied"):
        await migrate(f"postgresql://reader:x@{where}", folder)


async def test_a_database_that_is_not_there_is_told_without_its_password(folder: Path) -> None:
    with pytest.raises(PostgresUnavailable) as caught:
        await migrate("postgresql://u:hunter2@127.0.0.1:1/x", folder)

    assert "hunter2" not in f"{caught.value.message}{caught.value.evidence}"


async def test_a_connection_that_is_lost_midway_is_told(dsn: str, folder: Path) -> None:
    (folder / "0003_end.sql").write_text("select pg_terminate_backend(pg_backend_pid());")

    with pytest.raises((MigrationError, PostgresUnavailable)):
        await migrate(dsn, folder)

    (folder / "0003_end.sql").write_text("select 1;")
    assert await migrate(dsn, folder) == ("0003_end.sql",)


async def test_a_migration_gives_way_to_those_who_work(dsn: str, folder: Path) -> None:
    """It has the one table and waits for the other, whose holder then waits for it."""
    await migrate(dsn, folder)
    (folder / "0003_third.sql").write_text("lock table first;\nlock table second;\ncreate table third ();\n")
    rival = await asyncpg.connect(dsn)
    try:
        working = rival.transaction()
        await working.start()
        await rival.execute("lock table second")
        migrating = asyncio.create_task(migrate(dsn, folder))
        async with asyncio.timeout(30):
            while not await fetch(dsn, "select from pg_locks where not granted"):
                await asyncio.sleep(0.01)
        await rival.execute("lock table first")
        await working.commit()
        assert await migrating == ("0003_third.sql",)
    finally:
        await rival.close()
