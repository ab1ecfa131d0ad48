"""What a world says of a service is laid over what the service says of itself."""

from __future__ import annotations

import pytest

from deployd.errors import ManifestError
from deployd.manifest import Offer, parse
from deployd.model.spec import (
    BuildSpec,
    HealthSpec,
    ResourceNeed,
    RolloutSpec,
    RouteSpec,
    ScaleSpec,
    ServiceSpec,
    SizeSpec,
)

SHOP = """\
deployd: 1
services:
  cart:
    build: services/cart
    port: 8080
    health: /healthz
    size: {cpu: 0.5, memory: 256Mi}
    env: {LOG: info, KEEP: 1}
    resources: {db: postgres}
    rollout: canary
    routes: [{host: a.b}]
    watch: [x]
  catalog: {}
worlds:
  production:
    services:
      cart:
        build: {target: production}
        health: {timeout: 2m}
        scale: {min: 3, max: 10}
        size: {memory: 1Gi}
        env: {LOG: warning, MORE: "${resources.cache.url}"}
        resources: {db: {params: {gb: 9}}, cache: redis}
        rollout: {steps: [5]}
        routes: [{host: c.d}]
        watch: []
"""


def problems(text: str, world: str | None = None) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse(text, world=world)
    return [one.removeprefix("deployd.yaml:") for one in caught.value.problems]


def shop(base: str, over: str) -> str:
    """A service with the first line (3), in production (7) with the second."""
    return (
        f"deployd: 1\nservices:\n  cart: {{{base}}}\n  other: {{}}\n"
        f"worlds:\n  p:\n    services: {{cart: {{{over}}}}}\n"
    )


def test_mappings_merge_and_all_else_replaces() -> None:
    manifest = parse(SHOP, world="production")
    assert list(manifest.services) == ["cart", "catalog"]
    assert manifest.services["cart"] == ServiceSpec(
        name="cart",
        build=BuildSpec("services/cart", target="production"),
        ports={"http": 8080},
        health=HealthSpec("/healthz", 120),
        size=SizeSpec(0.5, 1024**3),
        scale=ScaleSpec(3, 10),
        env={"LOG": "warning", "KEEP": "1", "MORE": "${resources.cache.url}"},
        resources={"db": ResourceNeed("postgres", {"gb": 9}), "cache": ResourceNeed("redis")},
        rollout=RolloutSpec("canary", (5,), 30),
        routes=(RouteSpec("c.d"),),
        watch=(),
    )


def test_other_worlds_get_what_the_service_says() -> None:
    plain = parse(SHOP)
    assert plain.services["cart"].health == HealthSpec("/healthz")
    assert plain.services["cart"].env == {"LOG": "info", "KEEP": "1"}
    assert parse(SHOP, world="staging") == plain
    assert parse(SHOP.partition("worlds:")[0]) == plain


def test_an_offer_says_which_world() -> None:
    offer = Offer("production")
    assert parse("deployd: 1\nservice: {name: a}\nworlds: {production: {service: {scale: 2}}}", offer=offer)
    found = parse(
        "deployd: 1\nservice: {name: a}\nworlds: {production: {service: {scale: 2}}, b: {}}", offer=offer
    )
    assert found.services["a"].scale == ScaleSpec(2, 2)


def test_a_short_form_over_a_mapping_replaces_it() -> None:
    found = parse(shop("port: 1, health: {path: /a, timeout: 9s}", "health: /b"), world="p")
    assert found.services["cart"].health == HealthSpec("/b")


@pytest.mark.parametrize("body", ["service: {scale: 2}", "services: {hello: {scale: 2}}"])
def test_the_one_service_is_overridden_by_either_key(body: str) -> None:
    text = f"deployd: 1\nservice: {{name: hello, env: {{A: 1}}}}\nworlds: {{p: {{{body}}}}}\n"
    hello = parse(text, world="p").services["hello"]
    assert (hello.scale, hello.env) == (ScaleSpec(2, 2), {"A": "1"})


def test_aliases_bring_what_differs() -> None:
    text = """\
deployd: 1
x-busy: &busy {scale: 4, env: {MORE: 1}}
services: {a: {env: {A: 1}}, b: {}}
worlds: {p: {services: {a: *busy, b: {<<: *busy, scale: 5}}}}
"""
    services = parse(text, world="p").services
    assert (services["a"].scale.max, services["a"].env) == (4, {"A": "1", "MORE": "1"})
    assert (services["b"].scale.max, services["b"].env) == (5, {"MORE": "1"})


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ("port: 80", "ports: {a: 81}", "7:23: worlds.p.services.cart.ports: is beside `port`"),
        ("ports: {a: 81}", "port: 80", "7:23: worlds.p.services.cart.port: is beside `ports`"),
        ("build: .", "image: a", "7:23: worlds.p.services.cart.image: is beside `build`"),
        ("port: 80", "schedule: 1 * * * *", "7:23: worlds.p.services.cart.schedule: is beside `port`"),
        ("schedule: 1 * * * *", "port: 80", "7:23: worlds.p.services.cart.port: is beside `schedule`"),
        ("scale: 2", "schedule: 1 * * * *", "7:33: worlds.p.services.cart.schedule: is more than one copy"),
        ("schedule: 1 * * * *", "scale: 2", "7:30: worlds.p.services.cart.scale: is more than one copy"),
        ("scale: {min: 2, max: 3}", "scale: {min: 4}", "7:36: worlds.p.services.cart.scale.min: is a range"),
        ("scale: {max: 3}", "scale: {min: 4}", "7:36: worlds.p.services.cart.scale.min: is a range"),
        ("scale: 3", "scale: {min: 4}", "7:30: worlds.p.services.cart.scale.max: is missing"),
        ("run: x", "before: {timeout: 3}", "7:31: worlds.p.services.cart.before.run: is missing"),
        (
            "run: x",
            "health: /a",
            "7:31: worlds.p.services.cart.health: is an HTTP path, but the service has no",
        ),
        (
            "ports: {a: 80}",
            "ports: {b: 80}",
            "7:30: worlds.p.services.cart.ports: gives one number two names",
        ),
        (
            "rollout: {strategy: canary, steps: [5]}",
            "rollout: {strategy: rolling}",
            "7:43: worlds.p.services.cart.rollout.strategy: has no `steps` where the strategy is rolling",
        ),
        (
            "run: x",
            "build: {context: ../..}",
            "7:30: worlds.p.services.cart.build: leads out of the source tree",
        ),
        (
            "run: x",
            "env: {A: 'ab${resources.db.url}'}",
            "7:35: worlds.p.services.cart.env.A: has ${resources.db.url}, which is none of the resources",
        ),
        ("run: x", "skale: 3", "7:23: worlds.p.services.cart.skale: is an unknown key, would be `scale`"),
        ("run: x", "scale: 0", "7:30: worlds.p.services.cart.scale: is the number 0"),
        ("skale: 3", "port: 80", "3:10: services.cart.skale: is an unknown key, would be `scale`"),
        ("port: 80", "health: 3", "7:31: worlds.p.services.cart.health: is the number 3"),
        (
            "run: x",
            "resources: {db: {shared: y}}",
            "7:39: worlds.p.services.cart.resources.db.slug: is missing",
        ),
    ],
)
def test_wrong_overrides_are_shown_where_they_are(base: str, over: str, expected: str) -> None:
    (found,) = problems(shop(base, over))
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (
            "{services: {crat: {scale: 3}}}",
            '3:25: worlds.p.services.crat: is no service of this file, would be "cart"',
        ),
        (
            "{services: {zzz: {}}}",
            "3:25: worlds.p.services.zzz: is no service of this file, would be one of cart, other",
        ),
        (
            "{service: {}}",
            "3:14: worlds.p.service: is not how this file names its services, would be `services`",
        ),
        ("{scale: 3}", "3:14: worlds.p.scale: is an unknown key, would be one of service, services"),
        ("", "3:13: worlds.p: is empty, would be a mapping with `services:`"),
    ],
)
def test_wrong_worlds(world: str, expected: str) -> None:
    (found,) = problems(f"deployd: 1\nservices: {{cart: {{}}, other: {{}}}}\nworlds: {{p: {world}}}\n")
    assert found.startswith(expected)


def test_two_services_in_one_world_contradict_each_other_where_it_differs() -> None:
    text = """\
deployd: 1
services:
  a: {port: 1, routes: [{host: a.b}], resources: {x: {slug: p, shared: s}}}
  b: {port: 2, resources: {y: {slug: p, shared: s}}}
worlds:
  p:
    services:
      a: {resources: {x: {slug: q}}}
      b: {routes: [{host: a.b}]}
"""
    assert problems(text) == [
        (
            '8:33: worlds.p.services.a.resources.x.slug: is not what b asks for under the shared name "s" '
            "(deployd.yaml:4:38), would be the same in both"
        ),
        (
            "9:20: worlds.p.services.b.routes[0]: takes a.b/ by the entrypoint entrypoint, as a does "
            "(deployd.yaml:3:25), would be a host and path of its own"
        ),
    ]


def test_all_problems_of_all_worlds_are_told_once() -> None:
    text = """\
deployd: 1
services:
  a: {env: {A: '${resources.x.url}'}}
  b: {prot: 1}
worlds:
  p: {services: {a: {scale: 3}, b: {scale: 0}}}
  q: {services: {a: {env: {A: 1}}}}
"""
    assert [" ".join(one.split(": ")[:2]) for one in problems(text)] == [
        "3:17 services.a.env.A",
        "4:7 services.b.prot",
        "6:44 worlds.p.services.b.scale",
    ]
