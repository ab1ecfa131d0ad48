"""What can be asked for, and what a wrong request is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deployd.engine.birth import birth
from deployd.model.facts import DeploymentFacts, ResourceFacts, Source
from deployd.model.identifier import new_id
from deployd.model.spec import ServiceSpec
from deployd.model.world import Capability
from deployd.store import releases, worlds
from tests.integration.web.server import Served

PROBLEM = "__typename ... on Problem { code message remedy path }"
DEPLOY = (
    "mutation ($input: DeployInput!) { deploy(input: $input) {"
    + PROBLEM
    + " ... on Change { id state services directory requestedBy } } }"
)


async def mail(served: Served) -> list[tuple[str, str]]:
    """What was left in mailboxes, oldest first."""
    rows = await served.db.pool.fetch("select trigger, payload::text as payload from mailbox order by id")
    return [(row["trigger"], row["payload"]) for row in rows]


async def deploy(served: Served, **given: object) -> Any:
    return (await served.data(DEPLOY, input=given))["deploy"]


async def test_a_deploy_is_a_change(served: Served, tmp_path: Path) -> None:
    answer = await deploy(served, world="local", directory=str(tmp_path), services=["cart"])
    assert answer.pop("id")
    assert answer.pop("requestedBy").startswith("local:")
    assert answer == {
        "__typename": "Change",
        "state": "RECEIVED",
        "services": ["cart"],
        "directory": str(tmp_path),
    }


async def test_one_key_is_one_change(served: Served, tmp_path: Path) -> None:
    given = {"world": "local", "directory": str(tmp_path), "idempotencyKey": "k"}
    first = await deploy(served, **given)
    assert (await deploy(served, **given))["id"] == first["id"]
    assert (await deploy(served, world="local", directory=str(tmp_path)))["id"] != first["id"]
    problem = await deploy(served, **{**given, "services": ["cart"]})
    assert (problem["code"], problem["path"]) == ("CONFLICT", ["input", "idempotencyKey"])
    assert problem["remedy"]


async def test_what_is_wrong_with_a_deploy_is_told_where_it_is(served: Served, tmp_path: Path) -> None:
    problem = await deploy(served, world="locl", directory=str(tmp_path))
    assert problem == {
        "__typename": "Problem",
        "code": "NOT_FOUND",
        "message": "there is no world 'locl'",
        "remedy": "Did you mean 'local'?",
        "path": ["input", "world"],
    }
    for directory in ("relative", str(tmp_path / "none")):
        problem = await deploy(served, world="local", directory=directory)
        assert (problem["code"], problem["path"]) == ("INVALID_INPUT", ["input", "directory"])
    problem = await deploy(served, world="system", directory=str(tmp_path))
    assert problem["path"] == ["input", "world"]


async def test_a_service_is_asked_by_its_name(served: Served) -> None:
    service = served.service("cart")
    release = new_id()
    await releases.add(served.db, served.world_id, release, service.id, ServiceSpec("cart"), Source("/x"))
    await served.committer.store(births=(service,))
    for name in ("suspend", "resume", "retire"):
        fields = PROBLEM + " ... on Service { id world }"
        data = await served.data(f'mutation {{ {name}(world: "local", service: "cart") {{ {fields} }} }}')
        assert data[name] == {"__typename": "Service", "id": str(service.id), "world": "local"}
    data = await served.data(
        f'mutation ($r: ID!) {{ rollback(world: "local", service: "cart", release: $r) {{ {PROBLEM} }} }}',
        r=str(release),
    )
    assert data["rollback"] == {"__typename": "Service"}
    asked = await mail(served)
    assert [trigger for trigger, _ in asked] == ["suspend", "resume", "retire", "rollback"]
    assert str(release) in asked[3][1]


@pytest.mark.parametrize(
    ("arguments", "code", "path"),
    [
        ('world: "none", service: "cart"', "NOT_FOUND", ["world"]),
        ('world: "local", service: "none"', "NOT_FOUND", ["service"]),
        ('world: "local", service: "cart"', "CONFLICT", ["release"]),
        ('world: "local", service: "cart", release: "nothing"', "INVALID_INPUT", ["release"]),
        (f'world: "local", service: "cart", release: "{UUID(int=7)}"', "NOT_FOUND", ["release"]),
    ],
)
async def test_a_wrong_rollback_is_told_where_it_is(
    served: Served, arguments: str, code: str, path: list[str]
) -> None:
    await served.committer.store(births=(served.service("cart"),))
    data = await served.data(f"mutation {{ rollback({arguments}) {{ {PROBLEM} }} }}")
    assert (data["rollback"]["code"], data["rollback"]["path"]) == (code, path)
    assert await mail(served) == []


async def test_machines_are_asked_by_their_ids(served: Served, tmp_path: Path) -> None:
    service, deployment = served.service("cart"), served.deployment()
    await served.committer.store(births=(service, deployment))
    change = await deploy(served, world="local", directory=str(tmp_path))
    query = f"mutation ($id: ID!) {{ cancel(id: $id) {{ {PROBLEM} ... on Service {{ world }} }} }}"
    assert (await served.data(query, id=str(service.id)))["cancel"] == {
        "__typename": "Service",
        "world": "local",
    }
    assert (await served.data(query, id=str(deployment.id)))["cancel"] == {"__typename": "Deployment"}
    assert (await served.data(query, id=change["id"]))["cancel"] == {"__typename": "Change"}
    retry = f"mutation ($id: ID!) {{ retry(id: $id) {{ {PROBLEM} }} }}"
    assert (await served.data(retry, id=str(deployment.id)))["retry"] == {"__typename": "Deployment"}
    assert [trigger for trigger, _ in await mail(served)] == ["cancel", "cancel", "cancel", "retry"]
    for wrong, code in (("nothing", "INVALID_INPUT"), (str(uuid4()), "NOT_FOUND")):
        problem = (await served.data(query, id=wrong))["cancel"]
        assert (problem["code"], problem["path"]) == (code, ["id"])
    assert (await served.data(retry, id=change["id"]))["retry"]["code"] == "INVALID_INPUT"


async def test_resources_cannot_be_asked_and_nothing_is_left_for_them(served: Served) -> None:
    resource = birth(served.world_id, new_id(), ResourceFacts("db", "postgres", "main"), "person:ada")
    await served.committer.store(births=(resource,))
    query = f"mutation ($id: ID!) {{ cancel(id: $id) {{ {PROBLEM} }} }}"
    assert (await served.data(query, id=str(resource.id)))["cancel"]["code"] == "UNSUPPORTED"
    assert await mail(served) == []


async def test_an_approval_holds_for_one_plan(served: Served) -> None:
    deployment = served.deployment()
    await served.committer.store(births=(deployment,))
    query = f"mutation ($id: ID!, $h: String!) {{ approve(id: $id, planHash: $h) {{ {PROBLEM} }} }}"
    assert (await served.data(query, id=str(deployment.id), h="h"))["approve"]["code"] == "CONFLICT"
    assert isinstance(deployment.facts, DeploymentFacts)
    facts = DeploymentFacts(
        "cart",
        deployment.facts.requested_at,
        "person:ada",
        ServiceSpec("cart"),
        Source("/x"),
        plan_hash="h",
    )
    await served.move(deployment.id, ("ask", "awaiting_approval"), facts=facts)
    assert (await served.data(query, id=str(deployment.id), h="other"))["approve"]["code"] == "CONFLICT"
    assert await mail(served) == []
    assert (await served.data(query, id=str(deployment.id), h="h"))["approve"] == {"__typename": "Deployment"}
    assert [trigger for trigger, _ in await mail(served)] == ["approve"]


async def test_what_a_capability_is_configured_with_is_for_operators_without_secrets(served: Served) -> None:
    config = {"region": "eu", "password": "hidden-4711"}
    await worlds.add(served.db, "other", {"main": Capability("aws", config, approval=True)})
    query = '{ world(name: "other") { capabilities { name driver approval config keys } } }'
    (seen,) = (await served.data(query))["world"]["capabilities"]
    assert (seen["name"], seen["driver"], seen["approval"]) == ("main", "aws", True)
    assert (seen["config"]["region"], sorted(seen["keys"])) == ("eu", ["password", "region"])
    assert "hidden-4711" not in str(seen)
    make = 'mutation { createToken(name: "v", role: VIEWER) { ... on CreatedToken { value } } }'
    token = (await served.data(make))["createToken"]["value"]
    answer = await served.post(query, {"Authorization": f"Bearer {token}"})
    assert answer["data"]["world"]["capabilities"][0]["config"] is None
    assert "eu" not in str(answer["data"])


async def test_everything_and_triggers_are_part_of_the_request(served: Served, tmp_path: Path) -> None:
    given = {"world": "local", "directory": str(tmp_path), "idempotencyKey": "k"}
    first = await deploy(served, **given, everything=True, automatic=True)
    query = "query ($id: ID!) { change(id: $id) { everything automatic unaffected } }"
    assert (await served.data(query, id=first["id"]))["change"] == {
        "everything": True,
        "automatic": True,
        "unaffected": [],
    }
    for other in ({}, {"everything": True}, {"automatic": True}):
        assert (await deploy(served, **given, **other))["code"] == "CONFLICT"
    problem = await deploy(served, world="local", directory=str(tmp_path), everything=True, services=["cart"])
    assert (problem["code"], problem["path"]) == ("INVALID_INPUT", ["input"])


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"base": "main"}, ["input", "base"]),
        ({"removed": ["x"]}, ["input", "removed"]),
        ({"base": "0" * 40, "removed": ["../x"]}, ["input", "removed"]),
    ],
)
async def test_what_is_wrong_with_a_base(served: Served, given: dict[str, object], path: list[str]) -> None:
    problem = await deploy(served, world="local", upload=str(uuid4()), **given)
    assert (problem["code"], problem["path"]) == ("INVALID_INPUT", path)
    assert problem["remedy"]


async def test_a_base_is_for_uploads_alone(served: Served, tmp_path: Path) -> None:
    problem = await deploy(served, world="local", directory=str(tmp_path), base="0" * 40)
    assert problem["message"] == "only an upload has a base"
    assert problem["path"] == ["input", "base"]
