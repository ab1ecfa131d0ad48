"""The proxy does what it says: an answer to a commit is lost, and the commit is not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from deployd.engine.birth import birth
from deployd.engine.committer import Committer
from deployd.model.facts import DeploymentFacts, Source
from deployd.model.identifier import new_id
from deployd.model.spec import ServiceSpec
from deployd.store import machines, worlds
from deployd.store.commit import Step
from deployd.store.database import Database
from tests.chaos.proxy import Proxy

FACTS = DeploymentFacts("cart", datetime.now(UTC), "person:ada", ServiceSpec("cart"), Source("/x"))


@pytest.mark.parametrize("alone", [True, False])
async def test_an_answer_to_a_commit_is_lost(database: Database, dsn: str, alone: bool) -> None:
    """Of one step by itself, and of several things: written once, and not told."""
    parts = urlsplit(dsn)
    proxy = Proxy(Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432")
    world = await worlds.get(database, "local")
    assert world is not None
    async with proxy.running():
        who = f"{parts.username}:{parts.password}"
        through = f"postgresql://{who}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable"
        async with Database(through) as db:
            committer = Committer(db, lambda hint: None)
            running = asyncio.create_task(committer.run())
            made = birth(world.world_id, new_id(), FACTS, "person:ada")
            await committer.store(births=(made,))
            owner = uuid4()
            (held,) = await machines.claim(database, owner, ["here"], 10)
            proxy.losing = 1
            step = Step(
                machine=held.machine,
                owner=owner,
                trigger="start",
                to_state="fetching",
                keep=True,
                actor="deployd",
                births=() if alone else (birth(world.world_id, new_id(), FACTS, "person:ada"),),
            )
            assert await committer.step(step) is None  # it was committed, and matches no more
            committer.stop()
            await running
    assert proxy.lost == 1
    moved = await machines.get(database, world.world_id, made.id)
    assert moved is not None
    assert (moved.state, moved.version) == ("fetching", 1)
    assert await database.pool.fetchval("select count(*) from machines") == (1 if alone else 2)
