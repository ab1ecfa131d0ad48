"""Worlds and resources through the API: made, told, guarded by gates, ended; who may, and what is refused."""

from __future__ import annotations

from typing import Any

from deployd.catalog.builtin import POSTGRES
from deployd.engine.birth import birth
from deployd.manifest import Offer, parse
from deployd.model.actor import Role
from deployd.model.facts import ResourceFacts
from deployd.model.identifier import new_id
from deployd.model.sensitive import restored
from deployd.model.state import Health, MachineKind, Ownership
from deployd.model.world import Capability
from deployd.store import machines, tokens, worlds
from tests.integration.web.server import Served

PROBLEM = "... on Problem { code message remedy path }"
WORLD = f"__typename ... on World {{ name ephemeral retiredAt gates {{ name allow ports }} }} {PROBLEM}"
CREATE = (
    "mutation ($name: String!, $like: String!, $ephemeral: Boolean!) {"
    f" createWorld(name: $name, like: $like, ephemeral: $ephemeral) {{ {WORLD} }} }}"
)
GATES = (
    "mutation ($world: String!, $gates: [GateInput!]!) {"
    f" setGates(world: $world, gates: $gates) {{ {WORLD} }} }}"
)
RETIRE = (
    "mutation ($world: String!) { retireWorld(world: $world) {"
    f" __typename ... on Change {{ id state }} {PROBLEM} }} }}"
)
DELETE = (
    "mutation ($world: String!, $name: String!) { deleteResource(world: $world, name: $name) {"
    f" __typename ... on Resource {{ id name state }} {PROBLEM} }} }}"
)
RESOURCES = """query ($world: String!) { world(name: $world) { resources { nodes {
  name slug type state health ownership outputs services boundToHost reason { code }
} } } }"""


async def create(served: Served, name: str, like: str = "local", *, ephemeral: bool = False) -> Any:
    return (await served.data(CREATE, name=name, like=like, ephemeral=ephemeral))["createWorld"]


async def test_a_world_is_made_like_another(served: Served) -> None:
    made = await create(served, "preview", ephemeral=True)
    assert (made["__typename"], made["ephemeral"], made["retiredAt"]) == ("World", True, None)
    again = await create(served, "preview")
    assert (again["code"], again["path"]) == ("CONFLICT", ["name"])
    bad = await create(served, "Pre View")
    assert (bad["code"], bad["path"]) == ("INVALID_INPUT", ["name"])
    unlike = await create(served, "other", like="lokal")
    assert (unlike["code"], unlike["path"]) == ("NOT_FOUND", ["like"])
    assert "'local'" in unlike["remedy"]


async def test_gates_are_networks_and_ports(served: Served) -> None:
    async def put(*gates: dict[str, object], world: str = "local") -> Any:
        return (await served.data(GATES, world=world, gates=list(gates)))["setGates"]

    office = {"name": "office", "allow": ["203.0.113.0/24", "2001:db8::/32"], "ports": [443]}
    assert (await put(office))["gates"] == [office]
    for wrong in ({"allow": ["203.0.113.7/24"]}, {"allow": ["office"]}, {"allow": [], "ports": [0]}):
        refused = await put({"name": "office", **wrong})
        assert (refused["code"], refused["path"]) == ("INVALID_INPUT", ["gates"]), wrong
    assert (await put(office, world="lokal"))["path"] == ["world"]
    assert (await put())["gates"] == []


async def test_a_world_ends_by_a_change_and_its_own_worlds_stay(served: Served) -> None:
    await create(served, "preview", ephemeral=True)
    change = (await served.data(RETIRE, world="preview"))["retireWorld"]
    assert (change["__typename"], change["state"]) == ("Change", "RECEIVED")
    kept = (await served.data(RETIRE, world="local"))["retireWorld"]
    assert (kept["code"], kept["path"]) == ("CONFLICT", ["world"])


async def test_resources_are_told_and_deleted_only_when_nobody_has_them(served: Served) -> None:
    service = served.service("cart")
    facts = ResourceFacts(
        "cart/db",
        "postgres",
        "data",
        slug="postgres",
        users=(service.id,),
        outputs=("password", "url"),
        health=Health.HEALTHY,
    )
    made = birth(served.world_id, new_id(), facts, "person:ada", name="cart/db", placement="here")
    await served.committer.store(births=(service, made))
    [told] = (await served.data(RESOURCES, world="local"))["world"]["resources"]["nodes"]
    assert told == {
        "name": "cart/db",
        "slug": "postgres",
        "type": "postgres",
        "state": "REQUESTED",
        "health": "HEALTHY",
        "ownership": "MANAGED",
        "outputs": ["password", "url"],
        "services": ["cart"],
        "boundToHost": True,
        "reason": None,
    }
    used = (await served.data(DELETE, world="local", name="cart/db"))["deleteResource"]
    assert (used["code"], used["path"]) == ("CONFLICT", ["name"])
    assert "in use by cart" in used["message"]
    near = (await served.data(DELETE, world="local", name="cart/bd"))["deleteResource"]
    assert (near["code"], near["path"]) == ("NOT_FOUND", ["name"])
    assert "'cart/db'" in near["remedy"]
    await served.db.pool.execute(
        "update machines set facts = facts || '{\"users\": []}' where kind = 'resource'"
    )
    gone = (await served.data(DELETE, world="local", name="cart/db"))["deleteResource"]
    assert gone["name"] == "cart/db"
    mail = await served.db.pool.fetch("select trigger from mailbox where machine_id = $1", made.id)
    assert [one["trigger"] for one in mail] == ["delete"]
    found = await machines.get_named(served.db, served.world_id, MachineKind.RESOURCE, "cart/db")
    assert found is not None
    assert isinstance(found.facts, ResourceFacts)
    assert found.facts.ownership is Ownership.MANAGED


UPDATE = """mutation ($input: UpdateWorldInput!) { updateWorld(input: $input) { __typename
    ... on World { name version capabilities { name driver approval limit keys config }
      gates { name allow ports } }
    ... on Problem { code message remedy path } } }"""


async def update(served: Served, **given: object) -> Any:
    return (await served.data(UPDATE, input=given))["updateWorld"]


async def test_what_a_world_can_do_is_changed_and_checked(served: Served) -> None:
    main = {"name": "main", "driver": "deploy:process"}
    data = {"name": "data", "driver": "local/postgres", "config": {"first_port": 31_000}, "approval": True}
    office = {"name": "office", "allow": ["203.0.113.0/24"], "ports": [443]}
    made = await update(served, name="local", capabilities=[main, data])
    assert [(one["name"], one["approval"], one["keys"], one["config"]) for one in made["capabilities"]] == [
        ("data", True, ["first_port"], {"first_port": 31_000}),
        ("main", False, [], {}),
    ]
    version = made["version"]
    same = await update(served, name="local", capabilities=[main, data])
    assert same["version"] == version  # nothing changed, and nobody has to look again
    assert [one["limit"] for one in made["capabilities"]] == [None, None]
    limited = await update(served, name="local", capabilities=[{**main, "limit": 4}, data])
    assert [one["limit"] for one in limited["capabilities"]] == [None, 4]
    none = await update(served, name="local", capabilities=[{**main, "limit": 0}, data])
    assert (none["code"], none["path"]) == ("INVALID_INPUT", ["input", "capabilities", "0", "limit"])
    version = limited["version"]
    gated = await update(served, name="local", gates=[office], expectedVersion=version)
    assert (len(gated["capabilities"]), gated["gates"]) == (2, [office])
    late = await update(served, name="local", gates=[], expectedVersion=version)
    assert (late["code"], late["path"]) == ("CONFLICT", ["input", "expectedVersion"])

    async def refused(path: list[str], code: str, *capabilities: dict[str, object], **more: object) -> str:
        found = await update(served, name="local", capabilities=list(capabilities), **more)
        assert (found["code"], found["path"]) == (code, ["input", *path]), found
        assert found["remedy"], found
        return str(found["message"])

    unknown = {"name": "x", "driver": "deploy:proces"}
    await refused(["capabilities", "1", "driver"], "NOT_FOUND", main, unknown)
    wrong = {**main, "config": {"grace_secs": 3}}
    assert "grace_secs" in await refused(["capabilities", "0", "config"], "INVALID_INPUT", wrong)
    await refused(["capabilities", "0", "config"], "INVALID_INPUT", {**main, "config": [1]})
    await refused(["capabilities", "0", "name"], "INVALID_INPUT", {**main, "name": "Main"})
    await refused(["capabilities", "1", "name"], "INVALID_INPUT", main, main)
    entry = {"name": "entrypoint", "driver": "deploy:process"}
    await refused(["capabilities", "1", "driver"], "INVALID_INPUT", main, entry)
    await refused(["gates", "0"], "INVALID_INPUT", main, gates=[{"name": "g", "allow": ["here"]}])
    hidden = {**main, "config": {"password": "(hidden)"}}
    await refused(["capabilities", "0", "config"], "INVALID_INPUT", hidden)

    # What is in use stays, by its driver.
    await served.committer.store(births=(served.service("cart"),))
    assert "in use by cart" in await refused(["capabilities"], "CONFLICT", data)
    await refused(["capabilities"], "CONFLICT", data, {"name": "main", "driver": "local/postgres"})
    assert [
        one["name"] for one in (await update(served, name="local", capabilities=[main]))["capabilities"]
    ] == ["main"]
    assert (await update(served, name="system", gates=[]))["code"] == "CONFLICT"
    assert (await update(served, name="nowhere", gates=[]))["path"] == ["input", "name"]


async def test_a_world_is_made_of_what_is_said(served: Served) -> None:
    make = """mutation ($capabilities: [CapabilityInput!], $like: String) {
        createWorld(name: "staging", capabilities: $capabilities, like: $like) { __typename
        ... on World { capabilities { name driver does slugs broken supports { runs maxScale tasks } }
            slugs { slug capability parameters { name type default minimum maximum choices }
                outputs { name secret } example } }
        ... on Problem { code path } } }"""
    data = [{"name": "pg", "driver": "local/postgres"}, {"name": "main", "driver": "deploy:process"}]
    both = (await served.data(make, capabilities=data, like="local"))["createWorld"]
    assert both["code"] == "INVALID_INPUT"
    bad = (await served.data(make, capabilities=[{"name": "a", "driver": "none"}]))["createWorld"]
    assert (bad["code"], bad["path"]) == ("NOT_FOUND", ["capabilities", "0", "driver"])
    made = (await served.data(make, capabilities=data))["createWorld"]
    can = {one["name"]: one for one in made["capabilities"]}
    assert (can["pg"]["does"], can["pg"]["slugs"], can["pg"]["supports"]) == (
        ["provisions"],
        ["postgres"],
        None,
    )
    assert can["main"]["does"] == ["deploys", "logs"]
    assert can["main"]["supports"]["runs"] == "tree"
    [slug] = made["slugs"]
    assert (slug["slug"], slug["capability"]) == ("postgres", "pg")
    [parameter] = slug["parameters"]
    assert (parameter["name"], parameter["default"], parameter["maximum"]) == ("connections", 20, 100)
    assert {"name": "password", "secret": True} in slug["outputs"]
    parse(slug["example"], offer=Offer("staging", slugs={"postgres": POSTGRES}))


async def test_how_a_world_is_configured_is_for_operators(strict: Served) -> None:
    secret = {"context": "prod", "auth": {"password": "hunter2-canary"}, "api_key": "k-canary"}
    await worlds.add(strict.db, "far", {"main": Capability("deploy:nothing", secret)})
    system = await worlds.get(strict.db, "system")
    assert system is not None
    for name, role in (("dev", Role.DEVELOPER), ("op", Role.OPERATOR)):
        await tokens.add(strict.db, system.world_id, name, role, f"{name}-0123456789")
    query = '{ world(name: "far") { capabilities { keys config broken } } }'
    told = {}
    for name in ("dev", "op"):
        answer = await strict.post(query, {"Authorization": f"Bearer {name}-0123456789"})
        [told[name]] = answer["data"]["world"]["capabilities"]
    assert told["dev"]["keys"] == ["api_key", "auth", "context"]
    assert told["dev"]["config"] is None
    assert told["op"]["config"] == {
        "context": "prod",
        "auth": {"password": "(hidden)"},
        "api_key": "(hidden)",
    }
    assert "deploy:nothing" in told["op"]["broken"]
    kept = restored(told["op"]["config"], secret)
    assert kept == secret
