"""Secrets and outputs in a real database: kept, encrypted, bound to their rows and to one key."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from deployd.errors import SecretsUnreadable, SettingsError
from deployd.store.database import Database
from deployd.store.key import key_in, parse_key
from deployd.store.vault import Vault

KEY, OTHER = b"k" * 32, b"o" * 32
CANARY = "canary-9f2c-☃-value"


async def rows(dsn: str, sql: str, *args: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(sql, *args))
    finally:
        await connection.close()


async def test_a_secret_is_kept_listed_and_replaced(database: Database) -> None:
    vault = Vault(database, KEY)
    first = await vault.set_secret(1, "payment", CANARY, "person:ada")
    assert (first.name, first.set_by) == ("payment", "person:ada")
    assert await vault.list_secrets(1) == [first]
    assert await vault.secrets(1, ["payment", "missing"]) == {"payment": CANARY}
    second = await vault.set_secret(1, "payment", "other", "person:bob")
    assert second.revision != first.revision
    assert second.set_at >= first.set_at
    assert await vault.revisions(1, ["payment", "missing"]) == {"payment": second.revision}
    assert await vault.secrets(1, ["payment"]) == {"payment": "other"}
    assert await vault.secrets(2, ["payment"]) == {}, "another world has its own"
    assert await vault.unset_secret(1, "payment")
    assert not await vault.unset_secret(1, "payment")
    assert await vault.list_secrets(1) == []


async def test_no_column_holds_a_value_and_no_two_encryptions_are_alike(database: Database, dsn: str) -> None:
    vault, resource = Vault(database, KEY), uuid4()
    seen = set()
    for _ in range(20):
        await vault.set_secret(1, "payment", CANARY, "person:ada")
        await vault.keep_outputs(1, resource, {"password": CANARY})
        for table in ("secrets", "outputs"):
            content = (await rows(dsn, f"select content from {table}"))[0]["content"]
            assert CANARY.encode() not in content
            seen.add(bytes(content[9:21]))
        await vault.forget(1, resource)
    assert len(seen) == 40


async def test_a_row_that_was_moved_does_not_open(database: Database, dsn: str) -> None:
    vault = Vault(database, KEY)
    await vault.set_secret(1, "payment", CANARY, "person:ada")
    await vault.set_secret(1, "banner", "hello", "person:ada")
    await rows(
        dsn,
        "update secrets set content = (select content from secrets where name = 'payment')"
        " where name = 'banner' returning 1",
    )
    with pytest.raises(SecretsUnreadable, match="secrets/1/banner does not open"):
        await vault.secrets(1, ["banner"])
    await rows(dsn, "update secrets set world_id = 2 where name = 'payment' returning 1")
    with pytest.raises(SecretsUnreadable, match="does not open"):
        await vault.secrets(2, ["payment"])


async def test_a_damaged_value_is_told(database: Database, dsn: str) -> None:
    vault = Vault(database, KEY)
    await vault.set_secret(1, "payment", CANARY, "person:ada")
    await rows(
        dsn, "update secrets set content = set_byte(content, 25, 255 - get_byte(content, 25)) returning 1"
    )
    with pytest.raises(SecretsUnreadable, match="damaged") as caught:
        await vault.secrets(1, ["payment"])
    assert "set the secret again" in caught.value.remedy.lower()
    await rows(dsn, "update secrets set content = '\\x01' returning 1")
    with pytest.raises(SecretsUnreadable):
        await vault.secrets(1, ["payment"])
    await rows(dsn, "update secrets set content = '\\x0900' returning 1")
    with pytest.raises(SecretsUnreadable, match="form"):
        await vault.secrets(1, ["payment"])


async def test_another_key_is_refused_before_anything_is_written(database: Database, dsn: str) -> None:
    resource = uuid4()
    await Vault(database, KEY).set_secret(1, "payment", CANARY, "person:ada")
    stranger = Vault(database, OTHER)
    for attempt in (
        stranger.secrets(1, ["payment"]),
        stranger.set_secret(1, "more", "value", "person:ada"),
        stranger.generated(1, resource),
        stranger.outputs(1, resource),
        stranger.keep_outputs(1, resource, {"a": "b"}),
    ):
        with pytest.raises(SecretsUnreadable, match="another key") as caught:
            await attempt
        assert "DEPLOYD_SECRET_KEY" in caught.value.remedy
    assert [one.name for one in await stranger.list_secrets(1)] == ["payment"], "names need no key"
    assert await rows(dsn, "select 1 from outputs") == []
    await stranger.unset_secret(1, "payment")
    await stranger.set_secret(1, "more", "value", "person:ada")
    assert await stranger.secrets(1, ["more"]) == {"more": "value"}, "nothing is held under the key before"


async def test_outputs_and_the_password_do_not_touch_each_other(database: Database) -> None:
    vault, resource = Vault(database, KEY), uuid4()
    assert await vault.outputs(1, resource) == {}
    await vault.keep_outputs(1, resource, {"url": CANARY})
    made = await vault.generated(1, resource)
    assert await vault.outputs(1, resource) == {"url": CANARY}
    await vault.keep_outputs(1, resource, {"url": "new", "host": "h"})
    assert await vault.generated(1, resource) == made
    assert await vault.outputs(1, resource) == {"url": "new", "host": "h"}
    assert await vault.generated(1, uuid4()) != made
    await vault.forget(1, resource)
    await vault.forget(1, resource)
    assert await vault.outputs(1, resource) == {}
    assert await vault.generated(1, resource) != made
    assert len(made) >= 43
    assert made.replace("-", "").replace("_", "").isalnum()


async def test_all_get_the_same_password_at_once(dsn: str) -> None:
    resource = UUID(int=7)
    async with Database(dsn) as here, Database(dsn) as there:
        vaults = [Vault(here, KEY), Vault(there, KEY)]
        made = await asyncio.gather(
            *(vaults[n % 2].generated(1, resource) for n in range(16)),
            *(vaults[n % 2].keep_outputs(1, resource, {"n": str(n)}) for n in range(8)),
        )
        passwords = {one for one in made if one is not None}
        assert len(passwords) == 1
        assert await vaults[0].generated(1, resource) in passwords
        assert (await vaults[1].outputs(1, resource))["n"].isdigit()


async def test_nothing_that_is_shown_holds_the_key(database: Database) -> None:
    vault = Vault(database, KEY)
    assert "kkkk" not in repr(vault) + str(vars(vault)["_cipher"])


def test_the_home_makes_one_key_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    key = key_in(path)
    assert len(key) == 32
    assert key_in(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]
    assert parse_key(path.read_text(), "x") == key
    path.write_text("c2hvcnQ=\n")
    with pytest.raises(SettingsError, match=r"secret\.key is no key") as caught:
        key_in(path)
    assert "c2hvcnQ" not in caught.value.message + caught.value.remedy
