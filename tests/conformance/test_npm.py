"""What others use with GraphQL servers, against ours: the audits of GraphQL over HTTP, and two clients."""

from __future__ import annotations

from typing import Any

import pytest

from deployd.model.actor import Role
from deployd.model.world import SYSTEM
from deployd.store import tokens, worlds
from deployd.store.database import Database
from deployd.web.application import application
from deployd.web.serving import start
from tests.conformance.node import install, script
from tests.integration.web.server import Served, serve
from tests.ports import free_port

AUDITS = 61
TOKEN = "a-token-of-these-tests"


@pytest.fixture(scope="session", autouse=True)
def packages() -> None:
    install()


async def give_token(database: Database) -> None:
    system = await worlds.get(database, SYSTEM)
    assert system is not None
    await tokens.add(database, system.world_id, "ada", Role.ADMIN, TOKEN)


async def test_every_audit_of_graphql_over_http_passes(database: Database) -> None:
    async with serve(database, trust_loopback=False) as served:
        await give_token(database)
        async with script("audits.mjs", f"{served.url}/graphql", TOKEN) as audits:
            results = await audits.told()
            assert await audits.ended() == 0
    assert [one for one in results if one[2] != "ok"] == []
    assert len(results) == AUDITS


REFUSED = {"code": "BAD_REQUEST"}
EXPECTED: dict[str, Any] = {
    "query": {"data": {"world": {"name": "local"}}},
    "mutation": {"data": {"createWorld": {"name": "other"}}},
    "wrong document": REFUSED,
    "no document": REFUSED,
    "costly": {"code": "TOO_COSTLY"},
    "wrong subscription": {"code": "NOT_FOUND"},
}


async def born(served: Served, count: int) -> None:
    await served.committer.store(births=tuple(served.deployment() for _ in range(count)))


@pytest.mark.parametrize("client", ["ws", "sse"])
async def test_a_client_asks_follows_and_goes_on_after_a_restart(database: Database, client: str) -> None:
    async with serve(database, trust_loopback=False, port=free_port()) as served:
        await give_token(database)
        async with script(f"{client}.mjs", f"{served.url}/graphql", TOKEN) as running:
            told: dict[str, Any] = {}
            while "subscribing" not in told:
                event, value = await running.told()
                told[event] = value
            stranger = told.pop("stranger")
            if client == "ws":
                assert told.pop("legacy") == 1006, "a connection without a subprotocol is none to it"
                assert stranger["close"] == 4403
            else:
                assert stranger["status"] == 401
            assert told.pop("subscribing") is None
            assert told == EXPECTED

            await born(served, 3)
            while (await running.told()) != ["seen", [1, 2, 3]]:
                pass
            await served.running.close()
            await born(served, 3)  # while nobody listens
            app = application(served.api, trust_loopback=False)
            async with await start(app, "127.0.0.1", served.running.port):
                while (seen := await running.told())[0] != "end":
                    pass
                assert seen == ["end", [1, 2, 3, 4, 5, 6]], "nothing is missed, and nothing told twice"
                assert await running.ended() == 0
