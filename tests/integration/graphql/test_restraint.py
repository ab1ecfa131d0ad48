"""Holds, copies and resources by hand: what is asked is left in mailboxes, what is wrong is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from deployd.engine.birth import birth
from deployd.model.facts import ResourceFacts, Source
from deployd.model.hold import Hold
from deployd.model.identifier import new_id
from deployd.model.spec import ScaleSpec, ServiceSpec
from deployd.model.state import Ownership
from deployd.model.world import Capability
from deployd.store import releases, worlds
from tests.integration.graphql.test_mutations import PROBLEM, mail
from tests.integration.web.server import Served

CART = 'world: "local", service: "cart"'


async def ask(served: Served, field: str, **variables: object) -> Any:
    """A mutation's answer: its problem's code and path, or its type's name."""
    data = await served.data(f"mutation {{ answer: {field} {{ {PROBLEM} }} }}", **variables)
    answer = data["answer"]
    return (answer["code"], answer["path"]) if answer["__typename"] == "Problem" else answer["__typename"]


async def test_holding_and_scaling(served: Served) -> None:
    one, two = new_id(), new_id()
    hold = Hold("person:ada", datetime(2026, 1, 2, tzinfo=UTC), "no", one, 1, "print")
    cart = served.service("cart", serving=two, previous=one, holds=(hold,), copies=2)
    for release in (one, two):
        spec = ServiceSpec("cart", scale=ScaleSpec(1, 3))
        await releases.add(served.db, served.world_id, release, cart.id, spec, Source("/x"))
    await served.committer.store(births=(cart, served.service("free")))

    query = "holds { release { number } by at note } copies running rollbackWarnings"
    data = await served.data(f'{{ service(world: "local", name: "cart") {{ {query} }} }}')
    assert data["service"] == {
        "holds": [
            {"release": {"number": 1}, "by": "person:ada", "at": "2026-01-02T00:00:00+00:00", "note": "no"}
        ],
        "copies": 2,
        "running": 0,
        "rollbackWarnings": [],
    }
    free = await served.data('{ service(world: "local", name: "free") { holds { by } copies } }')
    assert free["service"] == {"holds": [], "copies": None}

    wrong = {
        f'hold({CART}, release: "{new_id()}")': ("NOT_FOUND", ["release"]),
        f'hold({CART}, release: "x")': ("INVALID_INPUT", ["release"]),
        f'hold({CART}, note: "a\\nb")': ("INVALID_INPUT", ["note"]),
        'hold(world: "none", service: "cart")': ("NOT_FOUND", ["world"]),
        'liftHold(world: "local", service: "none")': ("NOT_FOUND", ["service"]),
        'liftHold(world: "local", service: "free")': ("CONFLICT", ["service"]),
        f'liftHold({CART}, release: "{two}")': ("CONFLICT", ["release"]),
        f"rollback({CART})": ("CONFLICT", ["release"]),
        f"scale({CART}, copies: 2)": ("UNSUPPORTED", ["copies"]),
        f"scale({CART}, copies: 0)": ("INVALID_INPUT", ["copies"]),
        'scale(world: "local", service: "free", copies: 1)': ("CONFLICT", ["copies"]),
    }
    for field, problem in wrong.items():
        assert await ask(served, field) == problem, field
    assert await mail(served) == []

    for field in (
        f'hold({CART}, note: "the sale")',
        f'hold({CART}, release: "{two}")',
        f"liftHold({CART})",
        f'liftHold({CART}, release: "{one}")',
        f'rollback({CART}, release: "{one}")',
        f"scale({CART}, copies: 1)",
    ):
        assert await ask(served, field) == "Service", field
    left = await mail(served)
    assert [trigger for trigger, _ in left] == ["hold", "hold", "lift", "lift", "rollback", "scale"]
    assert "the sale" in left[0][1]
    assert '"copies": 1' in left[5][1]


async def test_resources_by_hand(served: Served) -> None:
    await worlds.add_capability(served.db, "local", "data", Capability("local/postgres"))
    orphan = ResourceFacts("lost", "postgres", "data", slug="postgres", ownership=Ownership.ORPHANED)
    made = birth(served.world_id, new_id(), orphan, "person:ada", name="lost")
    await served.committer.store(births=(made,))
    create = 'createResource(world: "local", name: "orders", slug: "postgres"'
    params = 'params: [{name: "connections", value: "%s"}]'
    wrong = {
        f"{create}, {params % 'many'})": ("INVALID_INPUT", ["params"]),
        'createResource(world: "local", name: "a/b", slug: "postgres")': ("INVALID_INPUT", ["name"]),
        'createResource(world: "local", name: "a", slug: "mysql")': ("UNSUPPORTED", ["slug"]),
        'createResource(world: "none", name: "a", slug: "postgres")': ("NOT_FOUND", ["world"]),
        'createResource(world: "local", name: "lost", slug: "postgres")': ("CONFLICT", ["name"]),
        f'updateResource(world: "local", name: "lost", {params % 9})': ("CONFLICT", ["name"]),
        f'updateResource(world: "local", name: "none", {params % 9})': ("NOT_FOUND", ["name"]),
        'adoptResource(world: "local", name: "none")': ("NOT_FOUND", ["name"]),
    }
    for field, problem in wrong.items():
        assert await ask(served, field) == problem, field
    assert await ask(served, f"{create}, {params % 7})") == "Resource"
    assert await ask(served, f"{create}, {params % 8})") == ("CONFLICT", ["name"])
    data = await served.data(
        '{ resource(world: "local", name: "orders") { standing slug params { name value } ownership } }'
    )
    assert data["resource"] == {
        "standing": True,
        "slug": "postgres",
        "params": [{"name": "connections", "value": "7"}],
        "ownership": "MANAGED",
    }
    assert await mail(served) == []
    assert await ask(served, f'updateResource(world: "local", name: "orders", {params % 9})') == "Resource"
    assert await ask(served, 'adoptResource(world: "local", name: "lost")') == "Resource"
    assert [trigger for trigger, _ in await mail(served)] == ["update", "adopt"]
