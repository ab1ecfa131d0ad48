"""Who may do what in a world's server, and what it gives away."""

from __future__ import annotations

import asyncio
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from deployd.drivers.api import Failed
from deployd.model.state import Health
from tests.integration.drivers.postgres.place import Place, query
from tests.integration.store.servers import as_root


async def test_two_databases_cannot_read_each_other(place: Place) -> None:
    one = await place.apply(place.resource("one"))
    two = await place.apply(place.resource("two"))
    await query(one, "create table secret as select 42 as x")
    for database in (one["database"], "postgres", "template1"):
        strange = {"url": two["url"].rpartition("/")[0] + f"/{database}"}
        with pytest.raises(asyncpg.PostgresError, match=r"no pg_hba\.conf entry"):
            await query(strange, "select x from secret")
    # Without the rules of the connection, too.
    rows = await place.administer(
        "select datname, has_database_privilege('public', oid, 'connect') as may from pg_database"
        " where datallowconn"
    )
    assert {row["datname"] for row in rows if row["may"]} == set()


async def test_a_role_is_no_administrator_and_owns_its_database(place: Place) -> None:
    outputs = await place.apply(place.resource())
    await query(outputs, "create schema cart")
    await query(outputs, "create table public.t (x int)")
    for forbidden in (
        "create role other",
        "create database other",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'true'",
        "alter role deployd password 'mine'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await query(outputs, forbidden)


async def test_the_administrator_is_not_reached_over_tcp(place: Place) -> None:
    outputs = await place.apply(place.resource())
    for database in ("postgres", "deployd"):
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match=r"pg_hba\.conf rejects"):
            await asyncpg.connect(
                host="127.0.0.1",
                port=int(outputs["port"]),
                user="deployd",
                password=(place.server_home / "password").read_text(),
                database=database,
            )
    for wrong in ("", "wrong"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(outputs["url"], password=wrong, passfile=place.root / "none")


async def test_the_limit_of_connections(place: Place) -> None:
    resource = replace(place.resource(), settings={"connections": 2})
    outputs = await place.apply(resource)
    open_ones = [await asyncpg.connect(outputs["url"]) for _ in range(2)]
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await query(outputs, "select 1")
        assert await place.driver.observe(resource) is Health.HEALTHY  # it is full, not ill
        # The one that was refused counts until its process is gone.
        assert await place.apply(replace(resource, settings={"connections": 4})) == outputs
        await query(outputs, "select 1")
    finally:
        await asyncio.gather(*(one.close() for one in open_ones))


async def test_what_was_changed_by_hand_is_put_right(place: Place) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    name = outputs["database"]
    for change in (
        f"alter role {name} nologin",
        f"alter role {name} password 'another'",
        f"alter role {name} password null",
        f"alter role {name} connection limit 1",
        f"alter database {name} connection limit 0",
        f"alter database {name} owner to deployd",
        f"grant connect on database {name} to public",
        f"comment on database {name} is null",
    ):
        await place.administer(change)
        assert await place.apply(resource) == outputs
        await query(outputs, "create temporary table t (x int)")
    (row,) = await place.administer(
        "select rolconnlimit, datconnlimit, pg_get_userbyid(datdba) as owner,"
        " has_database_privilege('public', d.oid, 'connect') as may, shobj_description(d.oid, 'pg_database')"
        f" from pg_database d, pg_roles where datname = rolname and rolname = '{name}'"
    )
    assert tuple(row) == (20, 20, name, False, f"deployd resource {resource.resource_id}")


@pytest.mark.parametrize("what", ["role", "database"])
async def test_what_is_somebody_elses_is_left_alone(place: Place, what: str) -> None:
    await place.apply(place.resource("first"))
    resource = place.resource()
    name = f"cart_db_{resource.resource_id.hex[-8:]}"
    await place.administer(f"create {what} {name}")
    progress = await place.driver.apply(resource)
    assert isinstance(progress, Failed)
    assert progress.reason.code == "NAME_TAKEN"
    assert f"{what} `{name}`" in progress.reason.summary
    await place.destroy(resource)
    table, column = ("pg_roles", "rolname") if what == "role" else ("pg_database", "datname")
    assert await place.administer(f"select 1 from {table} where {column} = '{name}'")


async def test_the_log_has_nothing_of_what_was_asked(place: Place) -> None:
    resource = place.resource(password="hunter2-is-the-password")
    outputs = await place.apply(resource)
    with pytest.raises(asyncpg.PostgresError):
        await query(outputs, "select 'a-value-of-theirs'::int")
    with pytest.raises(asyncpg.PostgresError):
        await query(outputs, f"alter role nobody_there password '{resource.password}'")
    await place.apply(replace(resource, password="hunter3-is-the-next"))
    said = (place.server_home / "postgres.log").read_text()
    assert "ready to accept connections" in said
    for word in ("a-value-of-theirs", "hunter2", "hunter3", "SCRAM-SHA-256"):
        assert word not in said


async def test_the_home_gives_nothing_away(place: Place) -> None:
    await place.apply(place.resource())
    for name, mode in (
        ("data", 0o700),
        ("socket", 0o700),
        ("password", 0o600),
        ("postgres.log", 0o600),
        ("resources", 0o700),
        ("../7.lock", 0o600),
    ):
        assert (name, stat.S_IMODE((place.server_home / name).stat().st_mode)) == (name, mode)


@as_root
async def test_the_server_is_another_user_than_deployds_own(place: Place) -> None:
    await place.apply(place.resource())
    seen = Path(f"/proc/{place.pid}").stat()
    assert (seen.st_uid, seen.st_gid) == (61182, 61182)
    assert "Groups:\t \n" in Path(f"/proc/{place.pid}/status").read_text()


async def test_no_password_stands_in_a_command_line(place: Place) -> None:
    resource = place.resource()
    await place.apply(resource)
    listed = subprocess.run(["ps", "-axwwo", "command="], capture_output=True, text=True, check=True).stdout
    assert resource.password not in listed
    assert (place.server_home / "password").read_text() not in listed
