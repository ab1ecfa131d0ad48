"""What may be told by one execution to several, and by what they are told apart."""

from __future__ import annotations

import pytest

from deployd.graphql.sharing import shareable
from deployd.model.actor import Actor, Role

FOLLOW = "subscription ($w: String!, $c: Cursor) { transitions(world: $w, after: $c) { __typename } }"
ADA = Actor("token:ada", Role.VIEWER)


@pytest.mark.parametrize(
    "query",
    [
        '{ transitions(world: "local") { __typename } }',
        'subscription { deployment(id: "1") { __typename } }',
        'subscription { a: transitions(world: "a") { __typename } b: transitions(world: "b") { seq } }',
        'subscription { ...F } fragment F on Subscription { transitions(world: "a") { __typename } }',
        'subscription ($s: Boolean!) { transitions(world: "a") @skip(if: $s) { __typename } }',
        'subscription { transitions(world: "a" ',
        "subscription A { transitions } subscription B { transitions }",
        f'subscription {{ transitions(world: "{"a" * 10_000}") {{ __typename }} }}',
        "subscription { transitions " + "{ a " * 1500,
    ],
)
def test_what_is_told_to_one_alone(query: str) -> None:
    assert shareable(query, None) is None


def test_all_but_the_cursor_tells_them_apart() -> None:
    shape = shareable(FOLLOW, None)
    assert shape is not None
    key = shape.key({"w": "local", "c": "x"}, ADA)
    assert key == shape.key({"c": None, "w": "local"}, Actor("token:eve", Role.VIEWER))
    assert key != shape.key({"w": "other", "c": "x"}, ADA)
    assert key != shape.key({"w": "local"}, Actor("token:ada", Role.ADMIN))
    assert key != shape.key({"w": "local"}, Actor("token:ada", Role.VIEWER, ("local",)))
    other = shareable(FOLLOW + " ", None)
    assert other is not None
    assert other.key({"w": "local"}, ADA) != key


def test_a_cursor_that_means_something_else_too_counts() -> None:
    twice = FOLLOW.replace("__typename", "__typename @skip(if: $c)")
    shape = shareable(twice, None)
    assert shape is not None
    assert shape.key({"c": "a"}, ADA) != shape.key({"c": "b"}, ADA)
