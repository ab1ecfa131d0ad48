"""Tokens, the one policy over everything that can be asked, the audit log, and idempotency keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    Undefined,
)

from deployd.access.policy import Action, require
from deployd.errors import Forbidden, Unauthenticated
from deployd.graphql.schema import SCHEMA
from deployd.model.actor import Actor, Role
from deployd.store import audit, tokens, worlds
from deployd.store.database import Database
from tests.integration.web.server import Served

SUSPEND = """mutation ($key: String) { suspend(world: "local", service: "cart", idempotencyKey: $key) {
    __typename ... on Service { id name } ... on Problem { code message path } } }"""
CREATE = """mutation ($name: String!, $role: Role!, $worlds: [String!], $seconds: Int, $key: String) {
    createToken(name: $name, role: $role, worlds: $worlds, seconds: $seconds, idempotencyKey: $key) {
    __typename ... on CreatedToken { value token { name role worlds expiresAt lastUsedAt createdBy } }
    ... on Problem { code message remedy path } } }"""
REVOKE = """mutation ($name: String!) { revokeToken(name: $name) {
    __typename ... on Token { name revokedBy } ... on Problem { code path } } }"""
AUDIT = """query ($world: String, $first: Int! = 50, $after: Cursor) {
    audit(world: $world, first: $first, after: $after) {
    nodes { actor action world arguments outcome code message } pageInfo { hasNextPage endCursor } } }"""


async def create(served: Served, name: str, role: str, **given: object) -> dict[str, str]:
    """A new token, as a header."""
    made = (await served.data(CREATE, name=name, role=role, **given))["createToken"]
    assert made["__typename"] == "CreatedToken", made
    return {"Authorization": f"Bearer {made['value']}"}


async def code_of(served: Served, query: str, headers: Mapping[str, str], **variables: object) -> str:
    """The code of the error or problem; `OK` without one."""
    body = {"query": query, "variables": variables}
    async with served.session.post(f"{served.url}/graphql", json=body, headers=headers) as response:
        answer = await response.json()
    if "code" in answer:
        return str(answer["code"])
    if answer.get("errors"):
        return str(answer["errors"][0]["extensions"]["code"])
    thing = next(iter(answer["data"].values()))
    return str(thing["code"]) if isinstance(thing, dict) and "code" in thing else "OK"


# -- tokens


async def test_a_token_is_for_its_worlds(served: Served) -> None:
    await worlds.add(served.db, "preview-7", {})
    ci = await create(served, "ci", "DEVELOPER", worlds=["preview-*"])
    answer = await served.post("{ worlds { name } viewer { name role worlds } }", ci)
    assert answer["data"] == {
        "worlds": [{"name": "preview-7"}],
        "viewer": {"name": "token:ci", "role": "DEVELOPER", "worlds": ["preview-*"]},
    }
    assert await code_of(served, '{ world(name: "preview-7") { name } }', ci) == "OK"
    # Whether a world is there is not told to whom it does not exist.
    assert await code_of(served, '{ world(name: "local") { name } }', ci) == "FORBIDDEN"
    assert await code_of(served, '{ world(name: "nowhere") { name } }', ci) == "FORBIDDEN"


async def test_an_id_of_another_world_is_no_way_in(served: Served) -> None:
    deployment = served.deployment()
    await served.committer.store(births=(deployment,))
    await worlds.add(served.db, "elsewhere", {})
    ci = await create(served, "ci", "ADMIN", worlds=["elsewhere"])
    cancel = "mutation ($id: ID!) { cancel(id: $id) { __typename ... on Problem { code } } }"
    assert await code_of(served, cancel, ci, id=str(deployment.id)) == "NOT_FOUND"
    answer = await served.post("query ($id: ID!) { deployment(id: $id) { id } }", ci, id=str(deployment.id))
    assert answer["data"] == {"deployment": None}


async def test_a_token_expires(served: Served) -> None:
    ci = await create(served, "ci", "VIEWER", seconds=3600)
    assert await code_of(served, "{ version }", ci) == "OK"
    await served.db.pool.execute("update tokens set expires_at = now() where name = 'ci'")
    async with asyncio.timeout(10):  # a query that was asked before believes what it knew for a second
        while (code := await code_of(served, "{ version }", ci)) == "OK":
            await asyncio.sleep(0.05)
    assert code == "UNAUTHENTICATED"


async def test_when_it_was_used_is_known_to_the_minute(served: Served) -> None:
    ci = await create(served, "ci", "VIEWER")
    query = "{ tokens { name lastUsedAt } }"
    listed = {one["name"]: one["lastUsedAt"] for one in (await served.data(query))["tokens"]}
    assert listed["ci"] is None
    await code_of(served, "{ version }", ci)
    first = {one["name"]: one["lastUsedAt"] for one in (await served.data(query))["tokens"]}["ci"]
    assert datetime.now(UTC) - datetime.fromisoformat(first) < timedelta(minutes=1)
    await code_of(served, "{ version }", ci)
    assert {one["name"]: one["lastUsedAt"] for one in (await served.data(query))["tokens"]}["ci"] == first


async def test_only_its_hash_is_kept(served: Served) -> None:
    value = (await create(served, "ci", "VIEWER"))["Authorization"].removeprefix("Bearer ")
    for table in ("tokens", "audit", "idempotency_keys"):
        rows = await served.db.pool.fetch(f"select t::text as line from {table} t")
        assert not [row for row in rows if value in row["line"]]


async def test_a_name_is_taken_until_it_is_revoked(served: Served) -> None:
    await create(served, "ci", "VIEWER")
    again = (await served.data(CREATE, name="ci", role="VIEWER"))["createToken"]
    assert (again["code"], again["path"]) == ("CONFLICT", ["name"])
    gone = (await served.data(REVOKE, name="ci"))["revokeToken"]
    assert gone["name"] == "ci"
    assert gone["revokedBy"].startswith("local:")
    assert (await served.data(REVOKE, name="ci"))["revokeToken"] == {
        "__typename": "Problem",
        "code": "NOT_FOUND",
        "path": ["name"],
    }
    await create(served, "ci", "VIEWER")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"name": "No Name"}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "ci", "worlds": []}, ["worlds"]),
        ({"name": "ci", "worlds": [""]}, ["worlds"]),
        ({"name": "ci", "seconds": 0}, ["seconds"]),
        ({"name": "ci", "seconds": 2**31 - 1}, ["seconds"]),
    ],
    ids=["bad name", "no name", "no worlds", "empty world", "no time", "too long"],
)
async def test_what_a_token_cannot_be(served: Served, given: dict[str, Any], path: list[str]) -> None:
    problem = (await served.data(CREATE, role="VIEWER", **given))["createToken"]
    assert (problem["code"], problem["path"]) == ("INVALID_INPUT", path)
    assert problem["remedy"]


async def test_a_subscription_ends_when_its_token_is_revoked(served: Served) -> None:
    ci = await create(served, "ci", "VIEWER")
    follow = 'subscription { transitions(world: "local") { ... on TransitionBatch { cursor } } }'
    async with served.connect(ci) as client:
        await (await client.init()).subscribe(follow)
        await client.next()
        began = asyncio.get_running_loop().time()
        await served.data(REVOKE, name="ci")
        payload = await client.next()
        assert payload["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert asyncio.get_running_loop().time() - began < 8


async def test_a_subscription_ends_when_its_token_expires(served: Served) -> None:
    ci = await create(served, "ci", "VIEWER", seconds=4)  # within which it has begun
    async with served.connect(ci) as client:
        await (await client.init()).subscribe(
            'subscription { transitions(world: "local") { ... on TransitionBatch { cursor } } }'
        )
        await client.next()
        payload = await client.next()
        assert payload["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


# -- the policy


FREE = {"version", "viewer", "canI", "worlds", "tokens", "audit", "search"}
"""Queries that belong to no world; each refuses, or shows less, in its own test."""


def call(
    kind: str, name: str, args: Mapping[str, GraphQLArgument], type_: Any, known: Mapping[str, object]
) -> str:
    """A document that asks this field for something."""
    given = ", ".join(
        f"{one}: {value(one, arg, known)}"
        for one, arg in args.items()
        if one in known or (isinstance(arg.type, GraphQLNonNull) and arg.default_value is Undefined)
    )
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    composite = isinstance(type_, GraphQLObjectType | GraphQLUnionType | GraphQLInterfaceType)
    refusable = isinstance(type_, GraphQLUnionType) and any(one.name == "Problem" for one in type_.types)
    problem = " ... on Problem { code }" if refusable else ""
    asked = f"({given})" if given else ""
    selected = f" {{ __typename{problem} }}" if composite else ""
    return f"{kind} {{ {name}{asked}{selected} }}"


def value(name: str, field: GraphQLArgument | GraphQLInputField, known: Mapping[str, object]) -> str:
    if name in known:
        return f'"{known[name]}"'
    type_ = field.type
    while isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if isinstance(type_, GraphQLList):
        return "[]"
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        inner = {
            one: each
            for one, each in type_.fields.items()
            if one in known or (isinstance(each.type, GraphQLNonNull) and each.default_value is Undefined)
        }
        return "{" + ", ".join(f"{one}: {value(one, each, known)}" for one, each in inner.items()) + "}"
    return {"Int": "1", "Boolean": "false"}.get(type_.name, '"x"')


def fields_of(kind: str) -> dict[str, Any]:
    root = getattr(SCHEMA._schema, f"{kind}_type")
    assert root is not None
    return dict(root.fields)


async def test_a_viewer_may_change_nothing(served: Served) -> None:
    service, deployment = served.service("cart"), served.deployment()
    await served.committer.store(births=(service, deployment))
    viewer = await create(served, "eve", "VIEWER")
    known = {"world": "local", "id": deployment.id, "service": "cart"}
    said = {
        name: await code_of(served, call("mutation", name, field.args, field.type, known), viewer)
        for name, field in fields_of("mutation").items()
    }
    assert said == dict.fromkeys(said, "FORBIDDEN")
    assert len(said) > 15


async def test_a_token_of_another_world_sees_and_changes_nothing(served: Served) -> None:
    service, deployment = served.service("cart"), served.deployment()
    await served.committer.store(births=(service, deployment))
    await worlds.add(served.db, "elsewhere", {})
    admin = await create(served, "eve", "ADMIN", worlds=["elsewhere"])
    known = {"world": "local", "id": deployment.id, "service": "cart", "name": "local"}
    for kind in ("query", "mutation"):
        for name, field in fields_of(kind).items():
            if name in FREE:
                continue
            document = call(kind, name, field.args, field.type, known)
            body = {"query": document}
            async with served.session.post(f"{served.url}/graphql", json=body, headers=admin) as response:
                answer = await response.json()
            errors = [one["extensions"]["code"] for one in answer.get("errors", ())]
            data = (answer.get("data") or {}).get(name)
            assert errors in (["FORBIDDEN"], []), (document, answer)
            assert errors or data is None or data.get("code") == "NOT_FOUND", (document, answer)
    async with served.connect(admin) as client:
        await client.init()
        for number, (name, field) in enumerate(fields_of("subscription").items()):
            await client.subscribe(call("subscription", name, field.args, field.type, known), id=str(number))
            message = await client.receive()
            while message["type"] == "complete":
                message = await client.receive()
            errors = message["payload"]["errors"] if message["type"] == "next" else message["payload"]
            assert errors[0]["extensions"]["code"] in ("FORBIDDEN", "NOT_FOUND"), name


async def test_nobody_sees_anything(strict: Served) -> None:
    for kind in ("query", "mutation"):
        for name, field in fields_of(kind).items():
            assert (
                await code_of(strict, call(kind, name, field.args, field.type, {}), {}) == "UNAUTHENTICATED"
            )


def test_every_action_has_a_role_and_a_time() -> None:
    for action in Action:
        assert require(Actor("token:root", Role.ADMIN), action, None)
        with pytest.raises(Unauthenticated):
            require(None, action, "local")
        with pytest.raises(Unauthenticated):
            require(Actor("token:old", Role.ADMIN, expires_at=datetime.now(UTC)), action, "local")
        with pytest.raises(Forbidden):
            require(Actor("token:far", Role.ADMIN, ("there",)), action, "local")


async def test_one_can_ask_what_one_may(served: Served) -> None:
    ci = await create(served, "ci", "DEVELOPER", worlds=["local"])
    ask = """query ($action: Action!, $world: String) {
        canI(action: $action, world: $world) { allowed reason remedy } }"""

    async def may(action: str, world: str | None) -> Any:
        return (await served.post(ask, ci, action=action, world=world))["data"]["canI"]

    assert await may("DEPLOY", "local") == {"allowed": True, "reason": "", "remedy": ""}
    assert (await may("DEPLOY", "production"))["allowed"] is False
    refused = await may("APPROVE", "local")
    assert refused["reason"] == "token:ci is developer and may not approve"
    assert "operator" in refused["remedy"]
    assert (await may("MANAGE_TOKENS", None))["allowed"] is False


# -- the audit log


async def entries(served: Served, **given: object) -> list[tuple[str, str, str, str | None]]:
    found = (await served.data(AUDIT, **given))["audit"]["nodes"]
    return [tuple(one[key] for key in ("actor", "action", "world", "outcome", "code")) for one in found]


async def test_every_mutation_is_on_record(served: Served) -> None:
    await served.committer.store(births=(served.service("cart"),))
    ci, eve = await create(served, "ci", "DEVELOPER"), await create(served, "eve", "VIEWER")
    await served.post(SUSPEND, ci)
    await served.post(SUSPEND, eve)
    await served.post(SUSPEND.replace('"cart"', '"card"'), ci)
    secret = """mutation { setSecret(world: "local", name: "payment", value: "canary-47110815") {
        __typename } }"""
    await served.post(secret, ci)
    assert await entries(served, world="local") == [
        ("token:ci", "setSecret", "local", "DONE", None),
        ("token:ci", "suspend", "local", "REFUSED", "NOT_FOUND"),
        ("token:eve", "suspend", "local", "REFUSED", "FORBIDDEN"),
        ("token:ci", "suspend", "local", "DONE", None),
    ]
    nodes = (await served.data(AUDIT))["audit"]["nodes"]
    assert "canary-47110815" not in str(nodes)
    assert '"name": "payment"' in nodes[0]["arguments"]
    assert [one["action"] for one in nodes[-2:]] == ["createToken", "createToken"]


async def test_refusals_of_who_only_looks_are_on_record(strict: Served) -> None:
    system = await worlds.get(strict.db, "system")
    assert system is not None
    await tokens.add(strict.db, system.world_id, "eve", Role.ADMIN, "eve-0123456789", worlds=("there",))
    eve = {"Authorization": "Bearer eve-0123456789"}
    assert await code_of(strict, '{ world(name: "local") { name } }', eve) == "FORBIDDEN"
    assert await code_of(strict, "{ version }", {"Authorization": "Bearer wrong"}) == "UNAUTHENTICATED"
    upload = f"{strict.url}/api/v1/uploads?world=local"
    async with strict.session.post(
        upload, data=b"", headers={**eve, "Content-Type": "application/gzip"}
    ) as response:
        assert response.status == 403
    last = (datetime(9999, 1, 1, tzinfo=UTC), uuid4())
    async with asyncio.timeout(5):
        while len(found := await audit.read(strict.db, [system.world_id], last, 10)) < 3:
            await asyncio.sleep(0.01)
    said = {(one.actor.partition(" at ")[0], one.action, one.code) for one in found}
    assert said == {
        ("token:eve", "world", "FORBIDDEN"),
        ("nobody", "POST /graphql", "UNAUTHENTICATED"),
        ("token:eve", "POST /api/v1/uploads", "FORBIDDEN"),
    }


async def test_a_flood_of_refusals_is_counted(served: Served) -> None:
    for _ in range(400):
        served.api.auditing.refused("nobody", "POST /graphql", None, "UNAUTHENTICATED", "no")
    async with asyncio.timeout(20):
        while True:
            rows = await served.db.pool.fetch("select code, message from audit where phase = 'refused'")
            if any(row["code"] == "TOO_MANY" for row in rows):
                break
            await asyncio.sleep(0.02)
    assert len(rows) == 301
    assert "100 refusals more" in next(row["message"] for row in rows if row["code"] == "TOO_MANY")


async def test_the_log_is_read_page_by_page(served: Served) -> None:
    for number in range(5):
        await create(served, f"ci-{number}", "VIEWER")
    names: list[str] = []
    after = None
    while True:
        page = (await served.data(AUDIT, first=2, after=after))["audit"]
        names += [one["arguments"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(names) == 5
    assert len(set(names)) == 5
    assert await code_of(served, AUDIT, {}, after="nonsense") == "INVALID_INPUT"


async def test_the_log_is_for_operators_of_its_world(served: Served) -> None:
    await served.committer.store(births=(served.service("cart"),))
    await served.data(SUSPEND)
    developer = await create(served, "dev", "DEVELOPER")
    assert await code_of(served, AUDIT, developer) == "FORBIDDEN"
    operator = await create(served, "op", "OPERATOR", worlds=["local"])
    seen = (await served.post(AUDIT, operator))["data"]["audit"]["nodes"]
    assert [one["action"] for one in seen] == ["suspend"]


async def test_nothing_on_record_can_be_changed(database: Database, served: Served) -> None:
    await create(served, "ci", "VIEWER")
    for statement in ("update audit set actor = 'x'", "delete from audit", "truncate audit"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await database.pool.execute(statement)


# -- idempotency keys


async def test_a_request_under_a_key_is_carried_out_once(served: Served) -> None:
    await served.committer.store(births=(served.service("cart"),))
    answers = await asyncio.gather(*(served.data(SUSPEND, key="k1") for _ in range(5)))
    assert {one["suspend"]["name"] for one in answers} == {"cart"}
    assert await served.db.pool.fetchval("select count(*) from mailbox") == 1
    await served.db.pool.execute("delete from mailbox")  # as if it had been consumed
    assert (await served.data(SUSPEND, key="k1"))["suspend"]["name"] == "cart"
    assert await served.db.pool.fetchval("select count(*) from mailbox") == 0
    await served.data(SUSPEND, key="k2")
    assert await served.db.pool.fetchval("select count(*) from mailbox") == 1


async def test_a_key_is_for_one_request_of_one_actor(served: Served) -> None:
    await served.committer.store(births=(served.service("cart"),))
    await served.data(SUSPEND, key="k1")
    other = (await served.data(SUSPEND.replace("suspend(", "resume("), key="k1"))["resume"]
    assert (other["code"], other["path"]) == ("CONFLICT", ["idempotencyKey"])
    ci = await create(served, "ci", "DEVELOPER")
    answer = await served.post(SUSPEND.replace("suspend(", "resume("), ci, key="k1")
    assert answer["data"]["resume"]["__typename"] == "Service"


async def test_what_was_refused_is_judged_anew(served: Served) -> None:
    assert (await served.data(SUSPEND, key="k1"))["suspend"]["code"] == "NOT_FOUND"
    await served.committer.store(births=(served.service("cart"),))
    assert (await served.data(SUSPEND, key="k1"))["suspend"]["__typename"] == "Service"


async def test_a_server_that_died_in_the_middle_leaves_the_key_to_the_next_try(served: Served) -> None:
    await served.committer.store(births=(served.service("cart"),))
    await served.data(SUSPEND, key="k1")
    first = await served.db.pool.fetchval("select payload->>'request_id' from mailbox")
    await served.db.pool.execute(
        "update idempotency_keys set answer = null, busy_until = now() + interval '0.5 seconds'"
    )
    await served.db.pool.execute("delete from mailbox")
    assert (await served.data(SUSPEND, key="k1"))["suspend"]["name"] == "cart"
    # Whatever is born of it is born under the same id.
    assert await served.db.pool.fetchval("select payload->>'request_id' from mailbox") == first


async def test_a_token_s_value_is_not_repeated(served: Served) -> None:
    await served.data(CREATE, name="ci", role="VIEWER", key="k1")
    again = (await served.data(CREATE, name="ci", role="VIEWER", key="k1"))["createToken"]
    assert again["code"] == "CONFLICT"
    assert "deployd token revoke ci" in again["remedy"]


async def test_worlds_and_secrets_are_answered_again(served: Served) -> None:
    world = 'mutation { createWorld(name: "w2", idempotencyKey: "a") { __typename ... on World { name } } }'
    secret = """mutation { setSecret(world: "local", name: "s", value: "x", idempotencyKey: "b") {
        __typename ... on Secret { name setAt } } }"""
    unset = """mutation { unsetSecret(world: "local", name: "s", idempotencyKey: "c") {
        __typename ... on Secret { name setAt } } }"""
    for mutation in (world, secret, unset):
        first = await served.data(mutation)
        assert await served.data(mutation) == first
        assert "Problem" not in str(first)
