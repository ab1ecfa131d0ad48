"""What is said of a database: each check where all is well, and where it is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

from deployd.cli.examining import database as examine_without_server
from deployd.errors import SecretsUnreadable
from deployd.model.finding import Level
from deployd.model.identifier import new_id
from deployd.settings import Settings
from deployd.store import ageing, examining, partitions, workers
from deployd.store.database import Database
from deployd.store.partitions import ensure_partitions
from deployd.store.vault import Vault

SAID = "examine_server"


class Altered:
    """The database, but that some columns of what it says of itself are others."""

    def __init__(self, db: Database, **columns: object) -> None:
        self._db, self._columns = db, columns

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]:
        return [{**row, **self._columns} for row in await self._db.fetch(query, *args)]


def altered(db: Database, **columns: object) -> Database:
    return cast("Database", Altered(db, **columns))


async def test_version(database: Database) -> None:
    found = await examining.version(database)
    assert found.level is Level.OK
    assert found.summary.startswith("Postgres 18")
    old = await examining.version(altered(database, version="13.9 (Debian)", number=130009))
    assert (old.level, old.summary) == (Level.WRONG, "Postgres 13.9 is older than 14")
    standby = await examining.version(altered(database, standby=True))
    assert standby.level is Level.WRONG
    assert "standby" in standby.summary


async def test_durability(database: Database, dsn: str) -> None:
    assert (await examining.durability(database)).level is Level.OK
    name = dsn.partition("?")[0].rpartition("/")[2]
    await database.pool.execute(f"alter database {name} set synchronous_commit = off")
    async with Database(dsn, size=1) as relaxed:
        found = await examining.durability(relaxed)
    assert found.level is Level.WRONG
    assert found.summary.startswith("synchronous_commit is off: a crash can lose the last commits")
    assert found.remedy.startswith("alter system set synchronous_commit = on;")
    worse = await examining.durability(altered(database, fsync="off"))
    assert worse.summary == "fsync is off: a crash of the host can destroy the database"


async def test_connections(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await examining.connections(database)).level is Level.OK
    monkeypatch.setattr(examining, "FREE", 10_000)
    assert (await examining.connections(database)).level is Level.WARNING


async def test_clock(database: Database) -> None:
    assert (await examining.clock(database)).level is Level.OK
    for off in (timedelta(seconds=90), -timedelta(seconds=90)):
        began = datetime.now(UTC)
        found = await examining.clock(altered(database, now=began + off))
        took = (datetime.now(UTC) - began).total_seconds()
        assert found.level is Level.WARNING
        told = re.fullmatch(r"the server's clock and the database's differ by (.*) s", found.summary)
        assert told is not None
        assert float(told[1]) == pytest.approx(90, abs=took + 0.05)  # told to a tenth


async def test_schema(database: Database) -> None:
    assert (await examining.schema(database)).level is Level.OK
    last = await database.pool.fetchrow("select * from schema_migrations order by version desc limit 1")
    assert last is not None
    await database.pool.execute("delete from schema_migrations where version = $1", last["version"])
    missing = await examining.schema(database)
    assert missing.level is Level.WRONG
    assert missing.summary == f"not applied: {last['name']}"
    await database.pool.execute("insert into schema_migrations values ($1, 'x', 'x')", last["version"])
    other = await examining.schema(database)
    assert other.level is Level.WRONG
    assert "is not what was applied" in other.summary


async def test_what_holds_vacuum_back(database: Database, dsn: str) -> None:
    assert (await examining.held_back(database)).level is Level.OK
    other = await asyncpg.connect(dsn, server_settings={"application_name": "report"})
    try:
        async with other.transaction():
            await other.execute("select 1")
            assert (await examining.held_back(database)).level is Level.OK, "it is not old yet"
            found = await examining.held_back(database, longer=0)
    finally:
        await other.close()
    assert found.level is Level.WARNING
    assert "of report (idle in transaction" in found.summary
    assert "pg_terminate_backend" in found.remedy


async def test_partitions(database: Database) -> None:
    await ensure_partitions(database)  # the template's may be of last month
    assert (await examining.partitions(database)).level is Level.OK
    later = datetime.now(UTC) + timedelta(days=62)
    missing = await examining.partitions(database, later)
    assert missing.level is Level.WARNING
    assert partitions.months_ahead(later)[-1] in missing.summary
    await database.pool.execute(
        "insert into transitions (world_id, seq, at, machine_id, kind, trigger, to_state, actor)"
        " values (1, 1, '2001-01-01', gen_random_uuid(), 'service', 'create', 'idle', 'x')"
    )
    used = await examining.partitions(database)
    assert used.level is Level.WARNING
    assert "transitions_default has rows" in used.summary
    await database.pool.execute(
        "insert into audit (world_id, at, id, phase, actor, action)"
        " values (1, '2001-01-01', gen_random_uuid(), 'asked', 'x', 'y')"
    )
    both = await examining.partitions(database)
    assert both.summary.startswith("transitions_default and audit_default have rows")


async def test_dead_rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await ageing.dead_rows(database)).level is Level.OK
    off = await ageing.dead_rows(altered(database, vacuums=False))
    assert (off.level, off.summary[:16]) == (Level.WRONG, "autovacuum is of")
    monkeypatch.setattr(ageing, "MANY", 100)
    worst = await ageing.dead_rows(altered(database, name="machines", dead=101, live=100, since=None))
    assert worst.level is Level.WARNING
    assert worst.summary.startswith("machines has 101 dead rows beside 100 living ones")
    assert worst.summary.endswith("vacuum never came")
    assert worst.remedy.startswith("vacuum (verbose) machines;")


async def test_transaction_ids(database: Database) -> None:
    assert (await ageing.transaction_ids(database)).level is Level.OK
    old = await ageing.transaction_ids(altered(database, age=700_000_000, oldest="machines"))
    assert (old.level, old.remedy[:32]) == (Level.WARNING, "vacuum (freeze, verbose) machine")
    assert (await ageing.transaction_ids(altered(database, age=1_600_000_000))).level is Level.WRONG


async def test_workers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "SILENT", 60.0)
    nobody = await examining.workers(database)
    assert (nobody.level, nobody.summary) == (Level.WRONG, "no worker is alive: nothing moves")
    await workers.add(database, new_id(), ["here"], "here", 1)
    assert (await examining.workers(database)).level is Level.OK
    await workers.add(database, new_id(), ["there"], "there", 2)
    await database.pool.execute("update workers set alive_at = now() - interval '1 hour' where pid = 2")
    silent = await examining.workers(database)
    assert (silent.level, silent.summary) == (Level.WARNING, "1 alive, 0 machines held; 1 silent")


async def test_the_key(database: Database) -> None:
    ours = Vault(database, b"k" * 32)
    await ours.check()
    await ours.set_secret(1, "payment", "value", "person:ada")
    await ours.check()
    with pytest.raises(SecretsUnreadable):
        await Vault(database, b"o" * 32).check()


async def test_without_a_server(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn, size=1) as db:
        await ensure_partitions(db)  # the template's may be of last month
    found = await examine_without_server(Settings(tmp_path, database_url=dsn))
    assert {one.check: one.level for one in found} == dict.fromkeys(
        (
            *("database", "durability", "connections", "clock", "schema", "partitions", "vacuum"),
            *("dead rows", "transactions"),
        ),
        Level.OK,
    )
    away = await examine_without_server(Settings(tmp_path, database_url="postgresql://127.0.0.1:1/x"))
    assert [(one.check, one.level) for one in away] == [("database", Level.WRONG)]
    assert away[0].remedy
