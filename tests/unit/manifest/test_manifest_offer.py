"""What a manifest asks for that its world has not."""

from __future__ import annotations

import pytest

from deployd.errors import ManifestError
from deployd.manifest import Offer, parse
from deployd.model.definition import Definition, Parameter

POSTGRES = Definition(
    slug="postgres",
    type="postgres",
    driver="local/postgres",
    params={
        "storage_gb": Parameter("integer", 100, minimum=20, maximum=4000),
        "ratio": Parameter("number", 0.5, maximum=1),
        "version": Parameter("string", "16", choices=("15", "16")),
        "name": Parameter("string", ""),
        "public": Parameter("boolean", False),
    },
    outputs=("host", "port", "url"),
)
OFFER = Offer(
    world="production",
    slugs={
        "postgres": POSTGRES,
        "pg": POSTGRES,
        "redis": Definition("redis", "redis", "local/redis", outputs=("url",)),
    },
    services=frozenset({"payment", "mailer"}),
    secrets=frozenset({"payment-key", "other"}),
    gates=frozenset({"office", "public"}),
    entrypoints=frozenset({"entrypoint", "internal"}),
)


def problems(body: str, offer: Offer = OFFER) -> list[str]:
    """Of a service with this as line 3, beside one named catalog."""
    text = f"deployd: 1\nservices:\n  web: {{port: 80, {body}}}\n  catalog: {{}}\n"
    assert parse(text).services  # without an offer, nobody asks
    try:
        assert parse(text, offer=offer).services
    except ManifestError as error:
        return [one.removeprefix("deployd.yaml:") for one in error.problems]
    return []


@pytest.mark.parametrize(
    "body",
    [
        "resources: {db: postgres, other: pg, cache: {slug: redis, shared: a}}",
        "resources: {db: {slug: postgres, params: {storage_gb: 20, ratio: 1, version: '16', public: true}}}",
        "resources: {db: {slug: pg, params: {ratio: -0.5, name: x}}}",
        "resources: {db: pg}, env: {A: '${resources.db.url}${resources.db.host}'}",
        "requires: [catalog, payment, web]",
        "env: {A: '${services.mailer.url} ${services.catalog.port} ${secrets.payment-key}'}",
        "routes: [{host: a.b}, {host: a.b, entrypoint: internal, gate: office}]",
    ],
)
def test_what_the_world_has(body: str) -> None:
    assert problems(body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "resources: {db: postgress}",
            (
                '3:35: services.web.resources.db: is "postgress", which the world production has not, '
                'would be "postgres" (it has pg, postgres, redis)'
            ),
        ),
        (
            "resources: {db: {slug: mongodb}}",
            (
                '3:42: services.web.resources.db.slug: is "mongodb", which the world production has not, '
                "would be one of pg, postgres, redis"
            ),
        ),
        (
            "resources: {db: {slug: postgres, params: {storage: 20}}}",
            (
                "3:61: services.web.resources.db.params.storage: is no parameter of postgres, "
                'would be "storage_gb"'
            ),
        ),
        (
            "resources: {db: {slug: redis, params: {storage: 20}}}",
            (
                "3:58: services.web.resources.db.params.storage: is no parameter of redis, "
                "would be left out: it has none"
            ),
        ),
        (
            "resources: {db: {slug: postgres, params: {storage_gb: 19}}}",
            (
                "3:73: services.web.resources.db.params.storage_gb: is 19, "
                "would be a whole number of at least 20 and at most 4000"
            ),
        ),
        (
            "resources: {db: {slug: postgres, params: {storage_gb: 1.5}}}",
            (
                "3:73: services.web.resources.db.params.storage_gb: is 1.5, "
                "would be a whole number of at least 20 and at most 4000"
            ),
        ),
        (
            "resources: {db: {slug: postgres, params: {storage_gb: true}}}",
            (
                "3:73: services.web.resources.db.params.storage_gb: is true, "
                "would be a whole number of at least 20 and at most 4000"
            ),
        ),
        (
            "resources: {db: {slug: postgres, params: {ratio: 1.01}}}",
            "3:68: services.web.resources.db.params.ratio: is 1.01, would be a number of at most 1",
        ),
        (
            "resources: {db: {slug: postgres, params: {version: 16}}}",
            '3:70: services.web.resources.db.params.version: is 16, would be one of "15", "16"',
        ),
        (
            "resources: {db: {slug: postgres, params: {version: '14'}}}",
            '3:70: services.web.resources.db.params.version: is "14", would be one of "15", "16"',
        ),
        (
            "resources: {db: {slug: postgres, params: {name: 5}}}",
            (
                "3:67: services.web.resources.db.params.name: is 5, "
                "would be text (in quotes, where it looks like something else)"
            ),
        ),
        (
            "resources: {db: {slug: postgres, params: {public: 1}}}",
            "3:69: services.web.resources.db.params.public: is 1, would be true or false",
        ),
        (
            "resources: {db: pg}, env: {A: 'x${resources.db.uri}'}",
            '3:51: services.web.env.A: has ${resources.db.uri}, but pg has no output uri, would be "url"',
        ),
        (
            "requires: [catalogue]",
            (
                '3:30: services.web.requires[0]: is "catalogue", which the world production has not, '
                'would be "catalog" (it has catalog, mailer, payment, web)'
            ),
        ),
        (
            "env: {A: '${services.zzz.url}'}",
            (
                "3:29: services.web.env.A: has ${services.zzz.url}, which the world production has not, "
                "would be one of catalog, mailer, payment, web"
            ),
        ),
        (
            "env: {A: '${secrets.paymentkey}'}",
            (
                "3:29: services.web.env.A: has ${secrets.paymentkey}, which the world production has not, "
                'would be "payment-key", or set it: deployd secret set paymentkey'
            ),
        ),
        (
            "env: {A: '${secrets.zzz}'}",
            (
                "3:29: services.web.env.A: has ${secrets.zzz}, which the world production has not, "
                "set it: deployd secret set zzz"
            ),
        ),
        (
            "routes: [{host: a.b, gate: ofice}]",
            (
                '3:46: services.web.routes[0].gate: is the gate "ofice", which the world production has not, '
                'would be "office" (it has office, public)'
            ),
        ),
        (
            "routes: [{host: a.b, entrypoint: x}]",
            (
                '3:52: services.web.routes[0].entrypoint: is the entrypoint "x", which the world production '
                "has not, would be one of entrypoint, internal"
            ),
        ),
    ],
)
def test_what_the_world_has_not(body: str, expected: str) -> None:
    assert problems(body) == [expected]


def test_a_world_that_has_nothing_lists_nothing() -> None:
    body = "resources: {db: pg}, routes: [{host: a.b}], env: {A: '${secrets.a}'}"
    assert problems(body, Offer("empty")) == [
        (
            '3:35: services.web.resources.db: is "pg", which the world empty has not, '
            "would be left out: it has none"
        ),
        (
            '3:49: services.web.routes[0]: is the entrypoint "entrypoint", which the world empty has not, '
            "would be left out: it has none"
        ),
        (
            "3:73: services.web.env.A: has ${secrets.a}, which the world empty has not, "
            "set it: deployd secret set a"
        ),
    ]


def test_only_what_holds_in_the_world_is_asked_for_and_shown_where_it_is_written() -> None:
    text = """\
deployd: 1
service:
  name: web
  resources: {db: gone, other: {slug: postgres, params: {storage_gb: 1}}}
worlds:
  production:
    service:
      resources: {db: redis, cache: mongo}
  staging:
    service:
      resources: {other: {params: {nonsense: 1}}}
"""
    with pytest.raises(ManifestError) as caught:
        parse(text, offer=OFFER)
    assert [" ".join(one.split(": ")[:2]) for one in caught.value.problems] == [
        "deployd.yaml:4:70 service.resources.other.params.storage_gb",
        "deployd.yaml:8:37 worlds.production.service.resources.cache",
    ]


def test_what_is_asked_for_wrongly_is_told_beside_what_is_written_wrongly() -> None:
    text = "deployd: 1\nservices:\n  a: {requires: [b, c]}\n  b: {prot: 1}\n"
    with pytest.raises(ManifestError) as caught:
        parse(text, offer=OFFER)
    assert [" ".join(one.split(": ")[:2]) for one in caught.value.problems] == [
        "deployd.yaml:3:21 services.a.requires[1]",
        "deployd.yaml:4:7 services.b.prot",
    ]


def test_nothing_but_the_reference_itself_is_repeated() -> None:
    text = (
        "deployd: 1\nservice: {name: a, env: {A: 'hunter2${secrets.zzz}hunter2', "
        "B: 'hunter2${resources.x.y}hunter2', C: '${hunter2}', D: '${secrets.hunter2.x}'}}\n"
    )
    with pytest.raises(ManifestError) as caught:
        parse(text, offer=OFFER)
    with pytest.raises(ManifestError) as other:
        parse(text.partition(", C:")[0] + "}}\n", offer=OFFER)
    assert len(other.value.problems) == 2
    assert "hunter2" not in str(caught.value) + str(other.value)
