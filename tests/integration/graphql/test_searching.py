"""Lists of a world, page by page; releases with what they are made of; and finding things."""

from __future__ import annotations

from typing import Any

from deployd.engine.birth import birth
from deployd.manifest import parse
from deployd.manifest.written import written
from deployd.model.facts import ChangeFacts, DeploymentFacts, Source
from deployd.model.identifier import new_id
from deployd.store import releases, worlds
from tests.integration.web.server import Served

COMMIT = "4fe1c0ffee" + "0" * 30
MANIFEST = """\
deployd: 1
service:
  name: cart
  build: {context: ., target: production, args: {A: "1"}}
  run: python -m cart
  port: 8080
  health: {path: /healthz, timeout: 90s}
  size: {cpu: 0.5, memory: 256Mi}
  scale: {min: 2, max: 4}
  env: {KEY: "${secrets.payment}", URL: "${resources.db.url}", PRICE: "$${no}"}
  resources: {db: {slug: postgres, params: {connections: 5}, shared: orders}}
  requires: [catalog]
  before: {run: python -m cart.migrate, timeout: 5m}
  rollout: {strategy: canary, steps: [10, 50], interval: 30s}
  routes: [{host: shop.example.com, path: /cart, gate: office}]
  watch: ["libraries/**"]
"""
PAGED = """query ($after: Cursor, $state: ChangeState, $service: String, $actor: String) {
    world(name: "local") {
    changes(first: 2, after: $after, state: $state, service: $service, actor: $actor) {
        nodes { id } pageInfo { hasNextPage endCursor } } } }"""
SEARCH = """query ($text: String!, $world: String) { search(text: $text, world: $world) { matched found {
    __typename ... on World { name } ... on Service { id } ... on Deployment { id } ... on Change { id }
    ... on Release { id commit } ... on Resource { id } } } }"""


async def found(served: Served, text: str, world: str | None = None) -> list[tuple[str, str, str]]:
    hits = (await served.data(SEARCH, text=text, world=world))["search"]
    return [
        (hit["matched"], hit["found"]["__typename"], hit["found"].get("id") or hit["found"]["name"])
        for hit in hits
    ]


def change(served: Served, actor: str, *services: str, commit: str | None = None) -> Any:
    facts = ChangeFacts(Source(repository="file:///x", commit=commit), "d", actor, services)
    return birth(served.world_id, new_id(), facts, actor)


async def test_what_a_world_has_is_listed_and_found(served: Served) -> None:
    spec = parse(MANIFEST).services["cart"]
    service, release_id = served.service("cart"), new_id()
    await releases.add(
        served.db, served.world_id, release_id, service.id, spec, Source("/x", commit=COMMIT), "f1"
    )
    changes = [change(served, "token:ci", "cart", commit=COMMIT), change(served, "person:ada")]
    changes.append(change(served, "person:ada", "shop"))
    own = served.deployment("cart", service.id)
    assert isinstance(own.facts, DeploymentFacts)
    for one in (service, *changes, own):  # each at a moment of its own
        await served.committer.store(births=(one,))
    ids = [str(one.id) for one in changes]

    first = (await served.data(PAGED))["world"]["changes"]
    assert [one["id"] for one in first["nodes"]] == [ids[2], ids[1]]
    rest = (await served.data(PAGED, after=first["pageInfo"]["endCursor"]))["world"]["changes"]
    assert ([one["id"] for one in rest["nodes"]], rest["pageInfo"]["hasNextPage"]) == ([ids[0]], False)
    for given, expected in (
        ({"actor": "token:ci"}, [ids[0]]),
        ({"service": "shop"}, [ids[2]]),
        ({"state": "DONE"}, []),
    ):
        page = (await served.data(PAGED, **given))["world"]["changes"]
        assert [one["id"] for one in page["nodes"]] == expected, given

    query = """query ($id: ID!) { release(id: $id) { number service commit fingerprint secrets manifest
        routes { host path gate } } world(name: "local") {
        releases { nodes { id } } deployments(actor: "person:ada") { nodes { id } } slugs { slug } } }"""
    data = await served.data(query, id=str(release_id))
    told = data["release"]
    assert parse(told.pop("manifest")).services["cart"] == spec
    assert told == {
        "number": 1,
        "service": "cart",
        "commit": COMMIT,
        "fingerprint": "f1",
        "secrets": ["payment"],
        "routes": [{"host": "shop.example.com", "path": "/cart", "gate": "office"}],
    }
    assert data["world"]["releases"]["nodes"] == [{"id": str(release_id)}]
    assert data["world"]["deployments"]["nodes"] == [{"id": str(own.id)}]

    assert await found(served, "CAR") == [("NAME", "Service", str(service.id))]
    assert await found(served, "loca") == [("NAME", "World", "local")]
    for text in (str(own.id), str(own.id)[:23], str(own.id).upper()):
        assert ("ID", "Deployment", str(own.id)) in await found(served, text)
    commits = {("COMMIT", "Release", str(release_id)), ("COMMIT", "Change", ids[0])}
    assert set(await found(served, COMMIT)) == set(await found(served, "4FE1")) == commits
    assert await found(served, "4fe") == []
    assert await found(served, "ci") == await found(served, "token:ci") == [("ACTOR", "Change", ids[0])]
    await worlds.add(served.db, "elsewhere", {})
    assert await found(served, "cart", "elsewhere") == []
    for wrong in ("", "  ", "a\x00b", "x" * 201):
        answer = await served.post(SEARCH, None, text=wrong)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


def test_a_manifest_is_written_as_it_is_read() -> None:
    for text in (
        "deployd: 1\nservice: {name: a}\n",
        'deployd: 1\nservice: {name: a, run: x, schedule: "0 3 * * *"}\n',
    ):
        for spec in parse(text).services.values():
            assert parse(written(spec)).services == {"a": spec}
