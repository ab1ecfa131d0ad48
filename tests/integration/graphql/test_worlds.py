"""Worlds and resources through the API: made, told, guarded by gates, ended; who may, and what is refused."""

from __future__ import annotations

from typing import Any

from deployd.engine.birth import birth
from deployd.model.facts import ResourceFacts
from deployd.model.identifier import new_id
from deployd.model.state import Health, MachineKind, Ownership
from deployd.store import machines
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
RESOURCES = """query ($world: String!) { world(name: $world) { resources {
  name slug type state health ownership outputs services boundToHost reason { code }
} } }"""


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
    [told] = (await served.data(RESOURCES, world="local"))["world"]["resources"]
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
