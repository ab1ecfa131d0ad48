"""What a server finds out about its own installation, and who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from deployd.drivers import registry
from deployd.drivers.api import DriverContext
from deployd.engine import diagnosis
from deployd.engine.context import Driver
from deployd.engine.diagnosis import Diagnosis, guarded
from deployd.errors import Forbidden
from deployd.model.actor import Actor, Role
from deployd.model.finding import Finding, Level
from deployd.model.identifier import new_id
from deployd.model.world import Capability
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.vault import Vault
from tests.house import ADA
from tests.standin import Folder, StandinDeployer


class Examined(StandinDeployer):
    """One that was looked at."""

    asked: Collection[UUID] = ()

    async def examine(self, services: Collection[UUID]) -> Sequence[Finding]:
        self.asked = services
        return [Finding("standin", Level.WARNING, "it stands in")]


async def test_all_of_it(database: Database, tmp_path) -> None:
    driver = Examined(Folder(tmp_path))

    def make(name: str, config: Mapping[str, object]) -> Driver:
        if name == "deploy:process":
            return driver
        return registry.create(name, config, DriverContext(tmp_path, "here"))

    ours = Vault(database, b"k" * 32)
    made = Diagnosis(database, ours, make)
    found = {one.check: one for one in await made.findings(ADA)}
    assert [one.check for one in found.values() if one.level is Level.WRONG] == ["workers"]
    assert found["token"].summary == "person:ada is admin"
    assert found["standin"].level is Level.WARNING
    assert found["capabilities"].summary == "the drivers of all capabilities are there (1)"

    await worlds.add(
        database,
        "cloud",
        {"main": Capability("deploy:nowhere"), "in": Capability("route:local", {"port": -1})},
    )
    service = new_id()
    await database.pool.execute(
        "insert into machines (world_id, id, kind, state, name, facts)"
        " select world_id, $1, 'service', 'idle', 'cart', '{}' from worlds where name = 'cloud'",
        service,
    )
    await ours.set_secret(1, "payment", "value", "person:ada")
    every = await Diagnosis(database, Vault(database, b"o" * 32), make).findings(ADA)
    wrong = sorted(one.summary for one in every if one.level is Level.WRONG and one.check != "workers")
    assert len(wrong) == 3
    assert "secrets under another key" in wrong[0]
    assert "world cloud: in (route:local) cannot be made" in wrong[1]
    assert wrong[2].startswith("world cloud: main (deploy:nowhere) cannot be made: there is no driver")
    assert driver.asked == [service]


async def test_who_may_ask(database: Database, tmp_path) -> None:
    made = Diagnosis(database, Vault(database, b"k" * 32), lambda *_: StandinDeployer(Folder(tmp_path)))
    with pytest.raises(Forbidden):
        await made.findings(Actor("token:ci", Role.DEVELOPER))
    with pytest.raises(Forbidden):
        await made.findings(Actor("token:shop", Role.ADMIN, worlds=("shop-*",)))
    soon = Actor("token:old", Role.OPERATOR, expires_at=datetime.now(UTC) + timedelta(days=3))
    token = (await made.findings(soon))[0]
    assert (token.check, token.level) == ("token", Level.WARNING)


async def test_a_check_that_cannot_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_PATIENCE", 0.05)

    async def hangs() -> Finding:
        await asyncio.sleep(60)
        raise AssertionError

    async def breaks() -> Finding:
        raise ZeroDivisionError

    [slow], [broken] = await guarded("slow", hangs), await guarded("broken", breaks)
    assert (slow.level, slow.summary) == (Level.WRONG, "no answer within 0.05 s")
    assert (broken.level, broken.summary) == (Level.WRONG, "this could not be looked at: ZeroDivisionError")
