"""Who may, by what it sends and where it comes from."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from deployd.graphql import context
from deployd.model.actor import Role
from deployd.model.identifier import new_id
from deployd.model.world import SYSTEM
from deployd.store import tokens, worlds
from deployd.store.database import Database
from tests.integration.web.server import PROTOCOL, Served, serve

QUERY = {"query": "{ version }"}
DEPLOY = """mutation ($directory: String!) { deploy(input: {world: "local", directory: $directory}) {
    __typename ... on Change { requestedBy } ... on Problem { code message path } } }"""
RETIRE = 'mutation { retire(world: "local", service: "cart") { __typename ... on Problem { code } } }'


async def add(db: Database, name: str, role: Role) -> dict[str, str]:
    """A new token, as a header."""
    system = await worlds.get(db, SYSTEM)
    assert system is not None
    token = f"{name}-0123456789abcdef0123456789abcdef"
    await tokens.add(db, system.world_id, name, role, token)
    return {"Authorization": f"Bearer {token}"}


async def revoke(db: Database, name: str) -> None:
    await db.pool.execute("update tokens set revoked_at = now() where name = $1", name)


async def ask(served: Served, headers: Mapping[str, str]) -> tuple[int, dict[str, Any], str | None]:
    async with served.session.post(f"{served.url}/graphql", json=QUERY, headers=headers) as response:
        return response.status, await response.json(), response.headers.get("WWW-Authenticate")


async def test_whoever_calls_from_this_machine_may_where_that_is_trusted(served: Served) -> None:
    assert (await ask(served, {}))[0] == 200


async def test_others_need_a_token(strict: Served) -> None:
    status, answer, header = await ask(strict, {})
    assert (status, answer["code"], header) == (401, "UNAUTHENTICATED", 'Bearer realm="deployd"')
    assert "DEPLOYD_TOKEN" in answer["remedy"]
    assert (await ask(strict, await add(strict.db, "ci", Role.VIEWER)))[0] == 200


PROXIES_HEADERS = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"]


async def test_what_a_proxy_passes_on_is_not_of_this_machine(served: Served) -> None:
    for header in PROXIES_HEADERS:
        assert (await ask(served, {header: "127.0.0.1"}))[0] == 401
        assert (await ask(served, {header: "127.0.0.1", **await add(served.db, "ci", Role.VIEWER)}))[0] == 200


async def test_nobody_becomes_local_by_saying_so(strict: Served) -> None:
    assert (await ask(strict, {"X-Forwarded-For": "127.0.0.1"}))[0] == 401


async def test_another_address_of_this_machine_is_not_loopback(database: Database) -> None:
    from deployd.web.application import application
    from deployd.web.serving import start

    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    async with serve(database) as served:
        app = application(served.api, trust_loopback=True, allowed_hosts=frozenset({address}))
        async with await start(app, address, 0) as running:
            async with served.session.post(f"{running.url}/graphql", json=QUERY) as response:
                assert response.status == 401
            headers = await add(database, "ci", Role.VIEWER)
            async with served.session.post(f"{running.url}/graphql", json=QUERY, headers=headers) as response:
                assert response.status == 200


def own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which address would be used
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


WRONG_TOKENS = [
    "Bearer wrong",
    "Bearer ",
    "Bearer",
    "",
    "Basic d3Jvbmc=",
    "wrong",
    "Bearer a b",
    "Bearer \u00e9",
]


async def test_a_wrong_token_is_never_anonymous(served: Served) -> None:
    for header in WRONG_TOKENS:
        status, answer, _ = await ask(served, {"Authorization": header})
        assert (status, answer["code"]) == (401, "UNAUTHENTICATED")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await served.session.ws_connect(
                f"{served.url}/graphql", headers={"Authorization": header}, protocols=[PROTOCOL]
            )
        assert caught.value.status == 401
        async with served.connect() as ws:
            await ws.send(type="connection_init", payload={"authorization": header})
            assert await ws.closed() == 4403


async def test_a_revoked_token_is_wrong(strict: Served) -> None:
    headers = await add(strict.db, "ci", Role.VIEWER)
    for _ in range(3):  # the short way too
        assert (await ask(strict, headers))[0] == 200
    await revoke(strict.db, "ci")  # by another replica, whose word of it is lost
    answer = await strict.session.post(f"{strict.url}/graphql", json={"query": RETIRE}, headers=headers)
    assert answer.status == 401
    async with asyncio.timeout(10):  # who only looks is believed for a second
        while (await ask(strict, headers))[0] != 401:
            await asyncio.sleep(0.05)


async def test_a_token_that_was_revoked_here_is_wrong_at_once(strict: Served) -> None:
    headers = await add(strict.db, "ci", Role.VIEWER)
    for _ in range(3):
        assert (await ask(strict, headers))[0] == 200
    await revoke(strict.db, "ci")
    strict.api.bus.revoked(new_id())
    assert (await ask(strict, headers))[0] == 401


async def test_websockets_take_the_token_by_header_or_by_their_first_message(strict: Served) -> None:
    headers = await add(strict.db, "ci", Role.VIEWER)
    async with strict.connect(headers) as ws:
        await ws.init()
    async with strict.connect() as ws:
        await ws.init({"authorization": headers["Authorization"]})
        await ws.subscribe("{ version }")
        assert "version" in (await ws.next())["data"]


WITHOUT_A_TOKEN = [None, {}, {"authorization": None}, {"authorization": 1}, {"Authorization": "x"}]


async def test_websockets_without_one_are_closed(strict: Served) -> None:
    for payload in WITHOUT_A_TOKEN:
        async with strict.connect() as ws:
            await ws.send(type="connection_init", payload=payload)
            assert await ws.closed() == 4403


async def test_websockets_that_do_not_introduce_themselves_are_closed(served: Served) -> None:
    async with served.connect() as ws:
        await ws.subscribe("{ version }")
        assert await ws.closed() == 4401


async def test_a_connection_does_not_outlive_its_token(strict: Served) -> None:
    headers = await add(strict.db, "ci", Role.ADMIN)
    async with strict.connect(headers) as ws:
        await ws.init()
        await ws.subscribe("{ version }")
        await ws.next()
        assert (await ws.receive())["type"] == "complete"
        await revoke(strict.db, "ci")
        await ws.subscribe(RETIRE, id="2")
        assert await ws.closed() == 4403


async def test_a_subscription_does_not_outlive_its_token(
    strict: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "RECHECK", 0.05)
    headers = await add(strict.db, "ci", Role.VIEWER)
    async with strict.connect(headers) as ws:
        await ws.init()
        await ws.subscribe(
            'subscription { transitions(world: "local") { ... on TransitionBatch { transitions { seq } } } }'
        )
        await ws.next()
        await revoke(strict.db, "ci")
        await asyncio.sleep(0.1)
        await strict.committer.store(births=(strict.deployment(),))
        (error,) = (await ws.next())["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert (await ws.receive())["type"] == "complete"


async def test_roles_count(strict: Served, tmp_path: Any) -> None:
    viewer = await add(strict.db, "viewer", Role.VIEWER)
    developer = await add(strict.db, "developer", Role.DEVELOPER)
    operator = await add(strict.db, "operator", Role.OPERATOR)

    answer = await strict.post(DEPLOY, viewer, directory=str(tmp_path))
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "developer" in answer["errors"][0]["extensions"]["remedy"]
    answer = await strict.post(DEPLOY, developer, directory=str(tmp_path))
    assert answer["data"]["deploy"] == {"__typename": "Change", "requestedBy": "token:developer"}
    answer = await strict.post(RETIRE, developer)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    answer = await strict.post(RETIRE, operator)
    assert answer["data"]["retire"] == {"__typename": "Problem", "code": "NOT_FOUND"}


async def test_whoever_is_local_is_named(served: Served, tmp_path: Any) -> None:
    import getpass

    answer = await served.post(DEPLOY, directory=str(tmp_path))
    assert answer["data"]["deploy"]["requestedBy"] == f"local:{getpass.getuser()}"
    seen = await served.data(
        '{ transitions(world: "local") { ... on TransitionBatch { transitions { actor } } } }'
    )
    assert seen["transitions"]["transitions"] == [{"actor": f"local:{getpass.getuser()}"}]
