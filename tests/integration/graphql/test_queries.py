"""What can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from deployd.model.facts import ChangeFacts, DeploymentFacts, ServiceFacts, Source, Turn
from deployd.model.identifier import new_id
from deployd.model.reason import Reason
from deployd.model.spec import ServiceSpec
from deployd.model.state import Health
from deployd.store import releases
from deployd.store.commit import Birth
from deployd.store.database import Database
from tests.integration.web.server import Served

PAGE = """{ worlds { name cursor services { nodes {
    id name world state health restarts reason { code } createdAt
    serving { id number tree } previous { number }
    deployment { id state release { number } }
    deployments(first: 2) { nodes { id state service serviceId finished release { number } } }
    releases(first: 2) { nodes { number } }
} } } }"""


async def add_service(served: Served, name: str) -> tuple[str, list[str]]:
    """A service with three releases and three deployments of which the last works; ids."""
    service = served.service(name)
    found = [new_id() for _ in range(3)]
    for one in found:
        await releases.add(
            served.db, served.world_id, one, service.id, ServiceSpec(name), Source("/x", tree="a" * 40)
        )
    births: list[Birth] = []
    for one in found:
        made = served.deployment(name, service.id)
        assert isinstance(made.facts, DeploymentFacts)
        built = DeploymentFacts(
            name, made.facts.requested_at, "person:ada", ServiceSpec(name), Source("/x"), release_id=one
        )
        births.append(Birth(**{**fields(made), "facts": built}))
        await served.committer.store(births=(births[-1],))
    turn = Turn(births[-1].id, births[-1].facts.requested_at)  # type: ignore[union-attr]
    facts = ServiceFacts(
        name,
        current=turn,
        serving=found[1],
        previous=found[0],
        health=Health.HEALTHY,
        restarts=2,
        reason=Reason("CRASHED", "it exited"),
    )
    await served.committer.store(births=(Birth(**{**fields(service), "facts": facts}),))
    return str(service.id), [str(one.id) for one in births]


def fields(one: Birth) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Birth.__dataclass_fields__}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the queries that are run."""
    run: list[str] = []
    fetch = Database.fetch

    async def counted(self: Database, query: str, *args: Any) -> Sequence[Any]:
        run.append(query)
        return await fetch(self, query, *args)

    monkeypatch.setattr(Database, "fetch", counted)
    return run


async def test_a_service_says_what_it_serves_and_what_works_on_it(served: Served) -> None:
    service_id, deployments = await add_service(served, "cart")
    data = await served.data(PAGE)
    assert [world["name"] for world in data["worlds"]] == ["local", "system"]
    (service,) = data["worlds"][0]["services"]["nodes"]
    assert service.pop("createdAt").endswith("+00:00")
    assert service.pop("serving")["number"] == 2
    assert service == {
        "id": service_id,
        "name": "cart",
        "world": "local",
        "state": "IDLE",
        "health": "HEALTHY",
        "restarts": 2,
        "reason": {"code": "CRASHED"},
        "previous": {"number": 1},
        "deployment": {"id": deployments[2], "state": "QUEUED", "release": {"number": 3}},
        "deployments": {
            "nodes": [
                {
                    "id": deployments[number],
                    "state": "QUEUED",
                    "service": "cart",
                    "serviceId": service_id,
                    "finished": False,
                    "release": {"number": number + 1},
                }
                for number in (2, 1)
            ]
        },
        "releases": {"nodes": [{"number": 3}, {"number": 2}]},
    }


async def test_a_page_takes_as_many_statements_for_one_service_as_for_many(
    served: Served, statements: list[str]
) -> None:
    """What is not known is asked for at some depths, which may meet in one statement; all others once.

    Asked again, only what may have moved is.
    """
    at_depths = ("read_releases", "read_machines", "read_as_of")
    others = [
        *("list_worlds", "page_deployments", "page_named", "page_releases", "read_heads", "read_stamps"),
    ]
    again = ["list_worlds", "page_releases", "read_heads"]
    for count in (1, 8):
        for number in range(count - 1, 2 * count - 1):
            await add_service(served, f"service-{number}")
        statements.clear()
        data = await served.data(PAGE)
        assert len(data["worlds"][0]["services"]["nodes"]) >= count
        assert 1 <= statements.count("read_releases") <= 4
        assert 1 <= statements.count("read_machines") <= 6
        assert 1 <= statements.count("read_as_of") <= 2
        assert sorted(one for one in statements if one not in at_depths) == others
        statements.clear()
        assert await served.data(PAGE) == data
        assert sorted(one for one in statements if one not in at_depths) == again
        assert set(statements) - set(again) == {"read_as_of"}
        assert statements.count("read_as_of") <= 2  # of all worlds, and of those with something in them


async def test_one_service_and_one_world(served: Served) -> None:
    service_id, _ = await add_service(served, "cart")
    data = await served.data(
        """{ service(world: "local", name: "cart") { id }
             world(name: "local") { ephemeral capabilities { name driver approval }
                 service(name: "cart") { id } other: service(name: "none") { id } } }"""
    )
    assert data == {
        "service": {"id": service_id},
        "world": {
            "ephemeral": False,
            "capabilities": [{"name": "main", "driver": "deploy:process", "approval": False}],
            "service": {"id": service_id},
            "other": None,
        },
    }


async def test_deployments_and_changes_are_found_by_their_ids_only(served: Served) -> None:
    _, (deployment_id, *_) = await add_service(served, "cart")
    facts = ChangeFacts(Source("/x"), "d", "person:ada", ("cart",), plan=("deploy cart",))
    change = Birth(
        served.world_id, new_id(), served.deployment().kind.CHANGE, "received", facts, "person:ada"
    )
    await served.committer.store(births=(change,))
    query = """query ($id: ID!) {
        deployment(id: $id) { id purpose requestedBy plan notes planHash changeId reason { code } }
        change(id: $id) { id state finished directory services plan deployments { id } } }"""
    data = await served.data(query, id=deployment_id)
    assert data["change"] is None
    assert data["deployment"] == {
        "id": deployment_id,
        "purpose": "deploy",
        "requestedBy": "person:ada",
        "plan": [],
        "notes": [],
        "planHash": None,
        "changeId": None,
        "reason": None,
    }
    data = await served.data(query, id=str(change.id))
    assert data["deployment"] is None
    assert data["change"] == {
        "id": str(change.id),
        "state": "RECEIVED",
        "finished": False,
        "directory": "/x",
        "services": ["cart"],
        "plan": ["deploy cart"],
        "deployments": [],
    }


async def test_what_is_not_there_is_null(served: Served) -> None:
    data = await served.data(
        """query ($id: ID!) {
            world(name: "none") { name } deployment(id: $id) { id } change(id: $id) { id }
            service(world: "none", name: "none") { id } other: service(world: "local", name: "none") { id }
        }""",
        id=str(uuid4()),
    )
    assert set(data.values()) == {None}
    answer = await served.post('{ transitions(world: "none") { __typename } }')
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "NOT_FOUND", "remedy": "There are: local, system."}


@pytest.mark.parametrize(
    "field",
    [
        'deployment(id: "nothing") { id }',
        'change(id: "") { id }',
        'transitions(world: "local", first: 0) { __typename }',
        'transitions(world: "local", first: 1001) { __typename }',
        'transitions(world: "local", after: "garbage") { __typename }',
        'world(name: "local") { services(first: 1) { nodes { deployments(first: 201) { nodes { id } } } } }',
        "worlds { services { nodes { releases(first: -1) { nodes { number } } } } }",
    ],
)
async def test_wrong_arguments_are_told(served: Served, field: str) -> None:
    await served.committer.store(births=(served.service("cart"),))
    answer = await served.post(f"{{ {field} }}")
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert answer["errors"][0]["extensions"]["remedy"]


async def test_transitions_are_read_in_pages(served: Served) -> None:
    await served.committer.store(births=tuple(served.deployment() for _ in range(5)))
    query = """query ($after: Cursor) { transitions(world: "local", after: $after, first: 2) {
        ... on TransitionBatch {
            cursor transitions { seq kind trigger fromState toState actor at reason { code } } } } }"""
    after, seen = None, []
    while True:
        page = (await served.data(query, after=after))["transitions"]
        after = page["cursor"]
        if not page["transitions"]:
            break
        assert len(page["transitions"]) <= 2
        seen += page["transitions"]
    assert [one["seq"] for one in seen] == [1, 2, 3, 4, 5]
    assert {key: seen[0][key] for key in ("kind", "trigger", "fromState", "toState", "actor", "reason")} == {
        "kind": "DEPLOYMENT",
        "trigger": "create",
        "fromState": None,
        "toState": "queued",
        "actor": "person:ada",
        "reason": None,
    }
    assert (await served.data('{ world(name: "local") { cursor } }'))["world"]["cursor"] == after
    system = await served.data('{ world(name: "system") { cursor } }')
    answer = await served.post(query, after=system["world"]["cursor"])
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_why_is_the_same_from_every_side(served: Served) -> None:
    service_id, deployments = await add_service(served, "cart")
    chain = (
        "why { verdict summary subject { kind name } steps { subject { kind name } } next cause { code } }"
    )
    data = await served.data(
        f"""query Why($id: ID!, $service: ID!) {{
            service(world: "local", name: "cart") {{ {chain} reason {{ subject {{ kind }} where key }} }}
            deployment(id: $id) {{ {chain} }}
            one: {chain.replace("why", "why(id: $service)", 1)}
            none: why(id: "{uuid4()}") {{ verdict }}
        }}""",
        id=deployments[2],
        service=service_id,
    )
    assert data["none"] is None
    assert data["one"] == data["service"]["why"]
    assert data["service"]["reason"] == {"subject": None, "where": None, "key": None}
    assert data["one"] == {
        "verdict": "WORKING",
        "summary": "service cart: healthy, a deployment is under way",
        "subject": {"kind": "SERVICE", "name": "cart"},
        "steps": [{"subject": {"kind": "DEPLOYMENT", "name": deployments[2]}}],
        "next": "begins when the deployment before it has ended",
        "cause": None,
    }
    assert data["deployment"]["why"]["steps"] == data["one"]["steps"]
