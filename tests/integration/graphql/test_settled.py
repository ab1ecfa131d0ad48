"""What fields of a world came to is told again only while nothing of that world was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from graphql import GraphQLObjectType, GraphQLOutputType, get_named_type, is_leaf_type

from deployd.graphql.context import Context
from deployd.graphql.kept import Memory
from deployd.graphql.schema import SCHEMA
from deployd.model.actor import Actor, Role
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.identifier import new_id
from deployd.model.spec import ServiceSpec
from deployd.model.state import Health, MachineKind
from deployd.store import releases
from tests.house import ADA
from tests.integration.graphql.test_kept import forget
from tests.integration.graphql.test_queries import add_service, statements
from tests.integration.web.server import Served

__all__ = ["statements"]

_DEPTH = 4
VISITOR = Actor("token:visitor", Role.VIEWER, ("local",))
STRANGER = Actor("token:stranger", Role.VIEWER, ("elsewhere",))
PAGE = """query Page($name: String!, $first: Int!, $after: Cursor) { world(name: $name) {
    services(first: $first, after: $after) { nodes { name running } pageInfo { endCursor } } } }"""


def _settled(type_: GraphQLOutputType, depth: int = _DEPTH) -> str:
    """All fields of a type that are settled by themselves, and attributes; and so on below."""
    bare = get_named_type(type_)
    if is_leaf_type(bare):
        return ""
    assert isinstance(bare, GraphQLObjectType)
    found = []
    for name, field in bare.fields.items():
        ours = field.extensions["strawberry-definition"]
        if not ours.is_basic_field and not getattr(ours.base_resolver.wrapped_func, "settled", False):
            continue
        leaf = is_leaf_type(get_named_type(field.type))
        if leaf or depth:
            found.append(f"{name} {'' if leaf else _settled(field.type, depth - 1)}")
    return "{ " + " ".join(found or ["__typename"]) + " }"


def _document() -> str:
    world = SCHEMA._schema.type_map["World"]
    assert isinstance(world, GraphQLObjectType)
    return '{ world(name: "local") ' + _settled(world) + " }"


async def _said(served: Served, *, anew: bool = False, document: str = "", actor: Actor = ADA) -> Any:
    api = replace(served.api, memory=Memory()) if anew else served.api
    result = await SCHEMA.execute(document or _document(), context_value=Context(api, actor))
    assert not result.errors, result.errors
    return result.data


async def test_whatever_is_written_is_told(served: Served, statements: list[str]) -> None:
    """One kind of write after the other; what is kept says the same as a server that keeps nothing."""
    made, deployments = await add_service(served, "cart")
    service_id, resource_id = UUID(made), new_id()
    facts = ServiceFacts("cart", health=Health.DEGRADED, running=2, resources=(resource_id,))

    async def of_resource(*users: UUID) -> None:
        one = served.service("cart/db")
        born = ResourceFacts("cart/db", "postgres", "main", users=users)
        await served.committer.store(
            births=(replace(one, id=resource_id, kind=MachineKind.RESOURCE, state="ready", facts=born),)
        )

    async def released() -> None:
        made = new_id()
        await releases.add(
            served.db,
            served.world_id,
            made,
            service_id,
            ServiceSpec("cart"),
            served.deployment().facts.source,
        )
        await served.move(service_id, (None, "idle"), facts=replace(facts, serving=made))

    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: add_service(served, "till"),
        lambda: served.committer.store(births=(served.service("empty"),)),
        lambda: of_resource(service_id),
        lambda: served.move(service_id, (None, "idle"), facts=facts),
        released,
        lambda: served.move(UUID(deployments[0]), ("start", "fetching")),
        lambda: served.move(UUID(deployments[1]), ("cancel", "cancelled")),
        lambda: served.committer.store(births=(served.deployment("cart", service_id),)),
        lambda: served.move(
            resource_id,
            (None, "ready"),
            facts=ResourceFacts("cart/db", "postgres", "main", health=Health.MISSING),
        ),
        lambda: forget(served),
    ]
    before = await _said(served)
    for write in writes:
        await write()
        told = await _said(served)
        assert told != before, "or else nothing is tried here"
        assert told == await _said(served, anew=True)
        statements.clear()
        assert await _said(served) == told
        assert {one for one in statements if one.startswith(("page_", "read_"))} == {"read_as_of"}
        before = told


async def test_each_asks_for_its_own(served: Served) -> None:
    for name in ("cart", "shop", "till"):
        await add_service(served, name)

    async def names(first: int, after: str | None = None) -> tuple[list[str], str]:
        page = (await served.data(PAGE, name="local", first=first, after=after))["world"]["services"]
        return [one["name"] for one in page["nodes"]], page["pageInfo"]["endCursor"]

    for _ in range(2):
        two, cursor = await names(2)
        assert two == ["cart", "shop"]
        assert (await names(1))[0] == ["cart"]
        assert (await names(2, cursor))[0] == ["till"]
        system = await served.data(PAGE, name="system", first=2)
        assert system["world"]["services"]["nodes"] == []
        both = "{ a: %s b: %s }" % tuple(  # noqa: UP031 - braces
            f'world(name: "local") {{ services(first: {first}) {{ nodes {{ name }} }} }}' for first in (1, 2)
        )
        said = await served.data(both)
        assert [len(said[one]["services"]["nodes"]) for one in "ab"] == [1, 2]


async def test_nobody_is_told_what_another_may_see(served: Served) -> None:
    await add_service(served, "cart")
    for _ in range(2):
        assert await _said(served, actor=VISITOR) == await _said(served)
        refused = await SCHEMA.execute(_document(), context_value=Context(served.api, STRANGER))
        assert refused.errors
        assert refused.data is None or refused.data["world"] is None


@pytest.mark.parametrize("of", ["why { summary }", "progress", "expectedSeconds"])
async def test_what_may_change_by_itself_is_found_out_each_time(
    served: Served, statements: list[str], of: str
) -> None:
    await add_service(served, "cart")
    field = (
        f"services {{ nodes {{ {of} }} }}" if of.startswith("why") else f"deployments {{ nodes {{ {of} }} }}"
    )
    document = f'{{ world(name: "local") {{ {field} }} }}'
    await _said(served, document=document)
    assert not served.api.memory.answers._known
