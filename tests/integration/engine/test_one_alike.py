"""A step that is committed alone, by a statement of its own, comes to the same as within a group."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from deployd.model.facts import DeploymentFacts, Facts, Source
from deployd.model.machine import Machine
from deployd.model.reason import Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store import commit, worlds
from deployd.store.codec import encode
from deployd.store.commit import Applied, Batch, Step
from deployd.store.database import Database
from deployd.store.queries import QUERIES

FACTS: Facts = DeploymentFacts(
    "cart", datetime(2026, 1, 1, tzinfo=UTC), "person:ada", ServiceSpec("cart"), Source("/x")
)
LONG_AGO, FAR_AWAY = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MOMENTS = (None, LONG_AGO, FAR_AWAY)
SPANS = (None, timedelta(), timedelta(seconds=7), timedelta(days=3))
SERVICE, WAITER, OWNER = (UUID(int=number) for number in (1, 2, 3))
INSERT = """
insert into machines (world_id, id, kind, state, name, service_id, version, fence, owner, attempt, due_at,
                      deadline_at, facts, waiters, limited_by, turn_at)
values ($1, $2, 'deployment', 'queued', $3, $4, 5, 6, $5, 1, $6, $7, $8::text::jsonb, $9, $10, $11)
"""


def drawn(chance: Random, machine: Machine) -> Step:
    """Most of them count."""
    stale = chance.random() < 0.2
    if stale:
        machine = replace(
            machine,
            version=machine.version + chance.choice((0, 1)),
            fence=machine.fence - chance.choice((0, 1)),
        )
    moves = chance.random() < 0.6
    return Step(
        machine=machine,
        owner=uuid4() if stale and chance.random() < 0.3 else OWNER,
        trigger="start" if moves else None,
        to_state=chance.choice(("fetching", "failed")) if moves else "queued",
        keep=chance.random() < 0.5,
        actor=chance.choice(("deployd", "person:ada")),
        facts=chance.choice((None, FACTS)),
        attempt=chance.randint(0, 2),
        due=chance.choice(SPANS),
        deadline=chance.choice(SPANS),
        settled=chance.random() < 0.4,
        frees_name=chance.random() < 0.3,
        reason=chance.choice((None, Reason("BROKEN", "it broke", "see", "mend it"))),
        limited_by=chance.choice((None, "main")),
        turn=chance.random() < 0.5,
    )


async def made(connection: asyncpg.Connection, world_id: int, chance: Random) -> Machine:
    """A machine as one that is held may be, and as the world's only one."""
    for table in ("machines", "mailbox", "transitions"):
        await connection.execute(f"delete from {table} where world_id = $1", world_id)
    await connection.execute(
        "update world_heads set seq = 40, at = $2 where world_id = $1", world_id, LONG_AGO
    )
    id_ = UUID(int=chance.getrandbits(128))
    await connection.execute(
        INSERT,
        *(world_id, id_, chance.choice((None, "cart")), SERVICE, OWNER, chance.choice(MOMENTS)),
        *(chance.choice(MOMENTS), encode(FACTS), chance.choice(([], [WAITER]))),
        *(chance.choice((None, "main")), chance.choice(MOMENTS)),
    )
    return Machine(
        *(world_id, id_, MachineKind.DEPLOYMENT, "queued", None, SERVICE, None, None, 5, 6, 1, None),
        *(LONG_AGO, LONG_AGO, FACTS),
    )


async def standing(connection: asyncpg.Connection, world_id: int) -> list[list[dict[str, Any]]]:
    """All that is there, moments told by how long after the last write they are, unless they are fixed."""
    found = []
    for table in ("machines", "mailbox", "transitions", "world_heads"):
        rows = await connection.fetch(f"select * from {table} where world_id = $1", world_id)
        found.append([dict(row) for row in rows])
    (machine,), letters, transitions, (head,) = found
    written = machine.pop("updated_at")
    assert machine.pop("created_at") <= written or machine["version"] == 5
    for name in ("due_at", "deadline_at", "turn_at"):
        if machine[name] is not None and abs(machine[name] - written) < timedelta(days=30):
            machine[name] -= written
    for letter in letters:
        letter["id"] = letter["sent_at"] = None
    for one in transitions:
        assert one.pop("at") == head["at"]
    head["at"] = head["at"] > LONG_AGO
    for one in (machine, *letters, *transitions, head):
        del one["world_id"]
    return found


def said(one: Applied | None) -> tuple[object, ...] | None:
    """But for what goes by the clock."""
    return None if one is None else (one.woken, one.seq, one.at is None)


@pytest.mark.parametrize("seed", range(4))
async def test_alone_and_in_a_group(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    await worlds.add(database, "other", {})
    ids = [
        row["world_id"] for row in await database.pool.fetch("select world_id from world_heads order by 1")
    ][:2]
    connection = await asyncpg.connect(dsn)
    ran: list[str] = []

    class Told(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            ran.append(name)
            return super().__getitem__(name)

    monkeypatch.setattr(commit, "QUERIES", Told(QUERIES))
    counted = 0
    for number in range(60):
        came, answers = [], []
        for world_id, grouped in zip(ids, (False, True), strict=True):
            chance = Random(seed * 1000 + number)
            step = drawn(chance, await made(connection, world_id, chance))
            with pytest.MonkeyPatch.context() as patch:
                if grouped:
                    patch.setattr(commit, "_alone", lambda batch: None)
                (answer,) = await commit.write(connection, Batch(steps=[step]))
            came.append((said(answer), await standing(connection, world_id)))
            answers.append(answer)
        assert came[0] == came[1], step
        alone, together = (None if one is None else one.remaining for one in answers)
        assert alone == pytest.approx(together, abs=60), (
            step
        )  # seconds; the two were asked one after the other
        counted += sum(one is not None for one in answers)
    assert ran == ["commit_one", "commit"] * 60
    assert 60 < counted < 120
    await connection.close()
