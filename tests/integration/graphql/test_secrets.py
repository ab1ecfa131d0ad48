"""Secrets through the API: what they tell, who may, and that no answer has a value."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import uuid4

import pytest

from deployd.model.actor import Role
from deployd.model.facts import Source
from deployd.model.identifier import new_id
from deployd.model.spec import ServiceSpec
from deployd.store import releases, tokens, worlds
from tests.integration.web.server import Served

CANARY = "canary-4b1d-value"
SECRET = "__typename ... on Secret { name setAt setBy services } ... on Problem { code message remedy path }"
SET = (
    "mutation ($world: String!, $name: String!, $value: String!) {"
    f" setSecret(world: $world, name: $name, value: $value) {{ {SECRET} }} }}"
)
UNSET = (
    f"mutation ($world: String!, $name: String!) {{ unsetSecret(world: $world, name: $name) {{ {SECRET} }} }}"
)
LIST = "query ($world: String!) { secrets(world: $world) { name setAt setBy services } }"


async def put(served: Served, name: str = "payment", value: str = CANARY, world: str = "local") -> Any:
    return (await served.data(SET, world=world, name=name, value=value))["setSecret"]


async def test_a_secret_is_set_listed_and_unset(served: Served) -> None:
    made = await put(served)
    assert (made["__typename"], made["name"], made["services"]) == ("Secret", "payment", [])
    assert made["setBy"].startswith("local:")
    (listed,) = (await served.data(LIST, world="local"))["secrets"]
    assert listed == {key: made[key] for key in ("name", "setAt", "setBy", "services")}
    gone = (await served.data(UNSET, world="local", name="payment"))["unsetSecret"]
    assert gone["name"] == "payment"
    assert (await served.data(LIST, world="local"))["secrets"] == []
    again = (await served.data(UNSET, world="local", name="payment"))["unsetSecret"]
    assert (again["code"], again["path"]) == ("NOT_FOUND", ["name"])


async def test_who_refers_to_it_is_told(served: Served) -> None:
    """By what a service serves, and by what was last asked of it; each once."""
    serving = new_id()
    cart, shop = served.service("cart", serving=serving), served.service("shop")
    spec = ServiceSpec(
        "cart", env={"A": "x${secrets.payment}", "B": "${services.shop.url}", "C": "$${secrets.no}"}
    )
    await releases.add(served.db, served.world_id, serving, cart.id, spec, Source("/x"))
    await served.committer.store(births=(cart, shop, served.deployment("shop", shop.id)))
    assert (await put(served))["services"] == ["cart"]
    await served.db.pool.execute(
        "update machines set facts = jsonb_set(facts, '{spec,env}', '{\"K\": \"${secrets.payment}\"}')"
        " where kind = 'deployment'"
    )
    assert (await put(served))["services"] == ["cart", "shop"]
    await put(served, "other")
    await put(served, "no")
    listed = (await served.data(LIST, world="local"))["secrets"]
    assert {one["name"]: one["services"] for one in listed} == {
        "payment": ["cart", "shop"],
        "other": [],
        "no": [],
    }


@pytest.mark.parametrize(
    ("given", "path", "said"),
    [
        ({"value": "a\0b"}, "value", "NUL"),
        ({"value": ""}, "value", "empty"),
        ({"value": "é" * 32_769}, "value", "65538 bytes"),
        ({"name": "9lives"}, "name", "no name"),
        ({"name": "n" * 64}, "name", "no name"),
        ({"name": f"payment={CANARY}"}, "name", "no name"),
        ({"world": "locl"}, "world", "no world"),
    ],
    ids=lambda given: str(given)[:20],
)
async def test_what_is_wrong_is_told_where_it_is(
    served: Served, given: dict[str, str], path: str, said: str
) -> None:
    problem = await put(served, **given)
    assert problem["__typename"] == "Problem"
    assert problem["path"] == [path]
    assert said in problem["message"]
    assert CANARY not in json.dumps(problem)


async def test_the_largest_value_passes(served: Served) -> None:
    value = "\x01" * 65_536  # six bytes each in JSON
    assert (await put(served, value=value))["__typename"] == "Secret"
    assert await served.api.secrets.vault.secrets(served.world_id, ["payment"]) == {"payment": value}


async def test_developers_may_and_viewers_may_not(strict: Served) -> None:
    system = await worlds.get(strict.db, "system")
    assert system is not None
    asked = {
        SET: {"world": "local", "name": "payment", "value": CANARY},
        LIST: {"world": "local"},
        UNSET: {"world": "local", "name": "payment"},
    }
    for role, code in ((Role.VIEWER, "FORBIDDEN"), (Role.DEVELOPER, None)):
        token = f"token-of-a-{role}-{uuid4()}"
        await tokens.add(strict.db, system.world_id, role, role, token)
        for query, variables in asked.items():
            answer = await strict.post(query, {"Authorization": f"Bearer {token}"}, **variables)
            codes = [one["extensions"]["code"] for one in answer.get("errors", [])]
            assert codes == ([code] if code else [])
            assert CANARY not in json.dumps(answer)


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (SET, {"deep": CANARY}),
        (SET, [CANARY]),
        (SET.replace("$value: String!", "$value: Int!"), CANARY),
        (SET.replace("$value: String!", "$value: Boolean!"), CANARY),
        (SET.replace("$value: String!)", f'$value: Int! = "{CANARY}")'), None),
        (SET.replace("value: $value", f"value: {CANARY.replace('-', '_')}"), CANARY),
        (SET.replace("value: $value", f'value "{CANARY}"'), CANARY),
        (SET.replace("value: $value", f'value: "{CANARY}'), CANARY),
        (SET.replace("value: $value", f'value: {{a: "{CANARY}"}}'), CANARY),
        (SET.replace("setSecret", "setSecrt"), CANARY),
        (SET.replace("value: $value", f'valu: "{CANARY}"'), CANARY),
        (SET.replace("$name: String!", "$name: ID!"), CANARY),
        (SET.replace(" name: $name,", ""), CANARY),
    ],
    ids=[
        "object", "list", "int", "boolean", "default", "name", "colon", "open", "literal", "field",
        "argument", "type", "missing",
    ],
)  # fmt: skip
async def test_no_error_repeats_a_value(
    served: Served, document: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await served.post(document, None, world="local", name="payment", value=value)
    assert answer["errors"]
    for part in (CANARY, CANARY.replace("-", "_")):
        assert part not in json.dumps(answer)
        assert part not in caplog.text
    assert (await served.data(LIST, world="local"))["secrets"] == []


async def test_other_documents_are_told_what_is_wrong_with_them(served: Served) -> None:
    answer = await served.post("query ($n: Int!) { world(name: $n) { name } }", None, n="x")
    assert "'Int!' used in position expecting type 'String!'" in answer["errors"][0]["message"]
