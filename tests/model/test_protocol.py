"""The protocol is right in every interleaving of every scenario; where it is made wrong, that is found."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.model import jobs
from tests.model.acting import Actors
from tests.model.explorer import Explored, explore
from tests.model.network import Network
from tests.model.scenarios import ONE, QUICK, WHOLE, Scenario
from tests.model.statements import Statements
from tests.model.symmetry import twins, untied
from tests.model.teeth import TEETH
from tests.model.values import Node

_ALL = QUICK | WHOLE if os.environ.get("DEPLOYD_CHAOS") == "whole" else QUICK


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def network(connection: asyncpg.Connection, scenario: Scenario) -> Network:
    gate = scenario.gate
    limit = None if gate is None else gate.limit
    db = await Statements.on(connection, limit)
    actors = Actors(db.world_id, jobs.runners(scenario.deadline, gate), limit)
    return Network(db, actors, scenario.powers, gate)


async def explored(connection: asyncpg.Connection, scenario: Scenario) -> Explored:
    return await explore(await network(connection, scenario), scenario.first)


@pytest.mark.parametrize("name", list(_ALL))
async def test_every_rule_holds_in_every_interleaving(connection: asyncpg.Connection, name: str) -> None:
    seen = await explored(connection, _ALL[name])
    print(f"{name}: {seen}")
    assert seen.wrong is None, str(seen)
    assert seen.states > 200


@pytest.mark.parametrize("name", list(TEETH))
async def test_what_is_made_wrong_is_found(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    change, scenario, wrong = TEETH[name]
    change(monkeypatch)
    seen = await explored(connection, scenario)
    print(f"{name}: {seen}")
    assert seen.wrong is not None, str(seen)
    assert wrong in seen.wrong, str(seen)
    assert seen.trace or seen.wrong.startswith("nothing that may happen")


async def test_what_may_happen_in_a_situation_may_happen_in_its_twins(
    connection: asyncpg.Connection,
) -> None:
    """So that it is enough to go on from one of them."""
    scenario = Scenario("MN", "AB", faults=1, state="releasing", gate=ONE)
    there = await network(connection, scenario)

    async def nexts(node: Node) -> set[tuple[frozenset[Node], bool]]:
        found = [one async for one in there.nexts(node)]
        return {(frozenset((after, *twins(after))), one.fault) for one in found for after in untied(one.node)}

    queue = [scenario.first]
    for node in queue:
        may = await nexts(node)
        for twin in twins(node):
            assert await nexts(twin) == may
        if len(queue) < 100:
            queue += [min(orbit, key=hash) for orbit, _ in may if orbit.isdisjoint(queue)]
