"""What a right manifest means, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from deployd.errors import ManifestError
from deployd.manifest import parse
from deployd.model.spec import (
    BeforeSpec,
    BuildSpec,
    HealthSpec,
    ResourceNeed,
    RolloutSpec,
    RouteSpec,
    ScaleSpec,
    ServiceSpec,
    SizeSpec,
)


def one(body: str, folder: str = ".") -> ServiceSpec:
    """The service with these lines."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return parse(f"deployd: 1\nservices:\n  web:\n    x-: 0\n{lines}", folder=folder).services["web"]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        parse(text)
    assert caught.value.code == "INVALID_MANIFEST"
    assert caught.value.remedy
    return caught.value.problems


def wrong(body: str) -> str:
    """The one problem of a service with this line, which is line 3."""
    (problem,) = problems(f"deployd: 1\nservices: {{web: {{\n{body}}}}}\n")
    return problem.removeprefix("deployd.yaml:")


def test_everything_a_service_can_say() -> None:
    manifest = parse(
        """\
deployd: 1
services:
  cart:
    build: {context: services/cart/, dockerfile: docker/Dockerfile.prod}
    run: python3 -m cart
    ports: {http: 8080, grpc: 9090}
    health: {path: /healthz?deep=1, timeout: 2m}
    scale: 2
    size: {cpu: 0.5, memory: 256Mi}
    env: {LOG_LEVEL: info, PRICE: "$${amount} $$ $1"}
  worker:
    build: services/worker
""",
        file="shop/deployd.yaml",
    )
    assert list(manifest.services) == ["cart", "worker"]
    assert manifest.services["cart"] == ServiceSpec(
        name="cart",
        build=BuildSpec("services/cart", "docker/Dockerfile.prod"),
        run="python3 -m cart",
        ports={"http": 8080, "grpc": 9090},
        health=HealthSpec("/healthz?deep=1", 120.0),
        size=SizeSpec(0.5, 256 * 1024**2),
        scale=ScaleSpec(2, 2),
        env={"LOG_LEVEL": "info", "PRICE": "$${amount} $$ $1"},
    )
    assert manifest.files == {"cart": "shop/deployd.yaml", "worker": "shop/deployd.yaml"}
    assert manifest.services["worker"] == ServiceSpec("worker", build=BuildSpec("services/worker"))


def test_everything_of_a_repository() -> None:
    assert one(
        """\
build: {context: cart, target: production, args: {PYTHON: 3.12, DEBUG: false}}
port: 8080
scale: {min: 2, max: 10}
env: {URL: "${resources.db.url}?a=${secrets.key}", CATALOG: "${services.catalog.host}"}
resources:
  db: postgres
  orders: {slug: postgres-large, params: {gb: 100, name: a, on: true, rate: 1.5}, shared: orders}
requires: [catalog, payment]
before: {run: python3 -m cart.migrate, timeout: 2h}
rollout: {strategy: canary, steps: [5, 25], interval: 1m}
routes: [{host: Shop.Example.com, path: /cart/, entrypoint: public, gate: office}, {host: a.b}]
watch: [libraries/**, "!*.md"]
""",
        folder=".",
    ) == ServiceSpec(
        name="web",
        build=BuildSpec("cart", target="production", args={"PYTHON": "3.12", "DEBUG": "false"}),
        ports={"http": 8080},
        scale=ScaleSpec(2, 10),
        env={"URL": "${resources.db.url}?a=${secrets.key}", "CATALOG": "${services.catalog.host}"},
        resources={
            "db": ResourceNeed("postgres"),
            "orders": ResourceNeed(
                "postgres-large", {"gb": 100, "name": "a", "on": True, "rate": 1.5}, "orders"
            ),
        },
        requires=("catalog", "payment"),
        before=BeforeSpec("python3 -m cart.migrate", 7200.0),
        rollout=RolloutSpec("canary", (5, 25), 60.0),
        routes=(RouteSpec("shop.example.com", "/cart", "public", "office"), RouteSpec("a.b")),
        watch=("libraries/**", "!*.md"),
    )


def test_a_job() -> None:
    job = one("image: registry.example.com/clean:1\nschedule: '0  3 * * mon'\nbefore: ./prepare")
    assert (job.build, job.image) == (None, "registry.example.com/clean:1")
    assert (job.schedule, job.scale, job.before) == ("0 3 * * mon", ScaleSpec(), BeforeSpec("./prepare"))


@pytest.mark.parametrize(
    ("text", "rollout"),
    [
        ("rolling", RolloutSpec()),
        ("recreate", RolloutSpec("recreate")),
        ("blue-green", RolloutSpec("blue-green", keep=0)),
        ("canary", RolloutSpec("canary", (10, 50), 30)),
        ("{strategy: canary, interval: 5}", RolloutSpec("canary", (10, 50), 5)),
        ("{strategy: blue-green, keep: 10m}", RolloutSpec("blue-green", keep=600)),
    ],
)
def test_rollouts_have_sensible_settings(text: str, rollout: RolloutSpec) -> None:
    assert one(f"rollout: {text}").rollout == rollout


@pytest.mark.parametrize(
    ("pattern", "folder", "seen"),
    [
        ("*.sql", ".", "*.sql"),
        ("../shared/**", "services/cart", "/services/shared/**"),
        ("*.sql", "services/cart", "/services/cart/**/*.sql"),
        ("!docs/", "cart", "!/cart/**/docs/"),
        ("/a", "cart", "/cart/a"),
        ("a/b", "odd[1]", "/odd\\[1\\]/a/b"),
    ],
)
def test_patterns_are_seen_from_the_root_of_the_tree(pattern: str, folder: str, seen: str) -> None:
    assert one(f"watch: ['{pattern}']", folder=folder).watch == (seen,)


def test_a_single_service_has_its_name_inside() -> None:
    manifest = parse("deployd: 1\nservice:\n  name: hello\n  port: 8080\n")
    assert manifest.services == {"hello": ServiceSpec("hello", build=BuildSpec(), ports={"http": 8080})}


def test_run_alone_needs_no_build() -> None:
    assert one("run: ./serve").build is None
    assert one("").build == BuildSpec(".", "Dockerfile")


def test_paths_are_seen_from_the_root_of_the_tree() -> None:
    assert one("build: .", folder="services/cart").build == BuildSpec("services/cart")
    assert one("build: ../shared", folder="services/cart").build == BuildSpec("services/shared")
    assert one("build: {dockerfile: ../Dockerfile}", folder="cart").build == BuildSpec(
        "cart", "../Dockerfile"
    )


def test_environment_values_are_what_was_written() -> None:
    env = one("env: {A: yes, B: 010, C: 1.50, D: 2024-01-02, E: '', F: 1_000, 'NO': null_, TRUE: ~x}").env
    assert env == {
        "A": "yes",
        "B": "010",
        "C": "1.50",
        "D": "2024-01-02",
        "E": "",
        "F": "1_000",
        "NO": "null_",
        "TRUE": "~x",
    }


@pytest.mark.parametrize(
    ("text", "amount"), [("256Mi", 268435456), ("1Gi", 1073741824), ("512M", 512000000), ("64k", 64000)]
)
def test_memory(text: str, amount: int) -> None:
    assert one(f"size: {{memory: {text}}}").size.memory == amount


@pytest.mark.parametrize(
    ("text", "amount"), [("30s", 30), ("2m", 120), ("1.5m", 90), ("1h", 3600), ("45", 45)]
)
def test_timeout(text: str, amount: float) -> None:
    assert one(f"health: {{timeout: {text}}}").health == HealthSpec(None, amount)


def test_aliases_and_merges() -> None:
    manifest = parse(
        """\
x-common: &common
  port: 8080
  env: &env {LOG: info}
deployd: 1
services:
  a: *common
  b:
    <<: [*common, {port: 1, scale: 3}]
    env: {<<: *env, LOG: debug, MORE: 1}
"""
    )
    assert manifest.services["a"].env == {"LOG": "info"}
    b = manifest.services["b"]
    assert (b.ports, b.scale.max, b.env) == ({"http": 8080}, 3, {"LOG": "debug", "MORE": "1"})


def test_extensions_are_ignored_everywhere() -> None:
    assert one("x-a: [1]\nenv: {x-b: [2]}\nsize: {x-c: }\nhealth: {x-d: 1}\nbuild: {x-e: 1}").env == {}


def test_all_problems_at_once_in_the_order_of_the_file() -> None:
    assert problems(
        """\
deployd: 2
service:
  nam: hello
  port: 0
  env:
    DEPLOYD_TOKEN: x
    GOOD: ${services.db.url}
    BAD: ${service.db.url}
world: {}
"""
    ) == (
        "deployd.yaml:1:10: deployd: is the number 2, would be 1, the version of this file's format",
        "deployd.yaml:3:3: service.nam: is an unknown key, would be `name`",
        "deployd.yaml:3:3: service.name: is missing, would be a name, such as `name: hello`",
        "deployd.yaml:4:9: service.port: is the number 0, would be a port number from 1 to 65535",
        (
            "deployd.yaml:6:5: service.env.DEPLOYD_TOKEN: is no name for this, would be a name of letters, "
            "digits and underscores that does not begin with a digit, other than PORT and DEPLOYD_…, "
            "which deployd sets"
        ),
        (
            "deployd.yaml:8:10: service.env.BAD: has a reference that begins with none of resources, "
            "services, secrets; would be such as ${resources.db.url}, or $${ for a literal ${"
        ),
        "deployd.yaml:9:1: world: is an unknown key, would be `worlds`",
    )


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "1:1: file: is empty"),
        ("# nothing\n", "1:1: file: is empty"),
        ("- a\n", "1:1: file: is a list"),
        ("service: {name: a}\n", "1:1: deployd: is missing"),
        ("deployd: 1\n", "1:1: file: has neither `service` nor `services`"),
        ("deployd: 1\nservices: {}\n", "2:11: services: is empty"),
        ("deployd: 1\nservices: {x-a: 1}\n", "2:11: services: is empty"),
        ("deployd: 1\nservices:\n  web:\n", "3:7: services.web: is empty"),
        ("deployd: 1\nservice: {}\n", "2:10: service.name: is missing"),
        ("deployd: 1\nservice: {name: a}\nservices: {b: {run: x}}\n", "3:1: services: is beside `service`"),
        ("deployd: 1\nservice: {name: a}\nservice: {name: b}\n", "3:1: service: is here already (line 2)"),
        ("deployd: 1\nservice: {name: Hello}\n", '2:17: service.name: is the text "Hello"'),
        (f"deployd: 1\nservice: {{name: {'a' * 41}}}\n", "2:17: service.name: is the text"),
        ("deployd: 1\nservice: {name: yes}\n", "2:17: service.name: is the truth value yes"),
        ("deployd: 1\nservice:\n\tname: a\n", "3:1: YAML: has a tab here, would be indented with spaces"),
        ("deployd: 1\nservice: [\n", "3:1: YAML: "),
        ("deployd: 1\nservice: *gone\n", "2:10: YAML: found undefined alias"),
        ("deployd: 1\n---\ndeployd: 1\n", "2:1: YAML: begins a second document"),
        ("deployd: 1\nservice: {name: a}\n? [b]\n: c\n", "3:3: file: has a list as a key"),
        ("deployd: 1\nservice: {name: a, run: a\x00}\n", "2:26: YAML: holds the character U+0000"),
        ("deployd: 1\nservice: &a {name: a, <<: *a}\n", "2:10: service.<<: cannot be merged"),
        ("deployd: 1\nservice: {name: a, <<: 1}\n", "2:24: service.<<: cannot be merged"),
        ("[" * 100_000, "1:33: YAML: nests deeper than 32 levels"),
        ("#" * 300_000, "1:1: file: has 300000 characters"),
    ],
)
def test_wrong_documents(text: str, start: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"deployd.yaml:{start}")


@pytest.mark.parametrize(
    ("body", "start"),
    [
        ("prot: 8080", "3:1: services.web.prot: is an unknown key, would be `port`"),
        ("zzz: 1", "3:1: services.web.zzz: is an unknown key, would be one of build, image, run, port"),
        ("name: web", "3:1: services.web.name: is an unknown key"),
        ("port: 80, ports: {a: 81}", "3:11: services.web.ports: is beside `port`"),
        ("port: 65536", "3:7: services.web.port: is the number 65536"),
        ("port: '80'", '3:7: services.web.port: is the text "80"'),
        ("port: 0x50", "3:7: services.web.port: is the number 0x50"),
        ("port: 1:30", "3:7: services.web.port: is the number 1:30"),
        ("ports: {}", "3:8: services.web.ports: is empty"),
        ("ports: {HTTP: 80}", "3:9: services.web.ports.HTTP: is no name for this"),
        ("ports: {a: 80, b: 80}", "3:8: services.web.ports: gives one number two names"),
        ("health: healthz", '3:9: services.web.health: is the text "healthz"'),
        ("health: /ok", "3:9: services.web.health: is an HTTP path, but the service has no port"),
        ("health: {path: /ok}", "3:9: services.web.health: is an HTTP path, but the service has no port"),
        ("health: {timeout: 0}", "3:19: services.web.health.timeout: is the number 0"),
        ("health: {timeout: 2d}", '3:19: services.web.health.timeout: is the text "2d"'),
        ("health: {timeout: 90m}", '3:19: services.web.health.timeout: is "90m", would be from 1s to 1h'),
        ("scale: 0", "3:8: services.web.scale: is the number 0"),
        ("scale: 1.5", "3:8: services.web.scale: is the number 1.5"),
        ("scale: {min: 1}", "3:8: services.web.scale.max: is missing, would be the most copies"),
        ("size: {cpu: 0}", "3:13: services.web.size.cpu: is the number 0"),
        ("size: {cpu: .nan}", "3:13: services.web.size.cpu: is the number .nan"),
        ("size: {memory: 256}", "3:16: services.web.size.memory: is the number 256"),
        ("size: {memory: 256MiB}", '3:16: services.web.size.memory: is the text "256MiB"'),
        ("size: {memory: 9999Ti}", "3:16: services.web.size.memory: is more than 1024Ti"),
        ("run: ' '", '3:6: services.web.run: is the text " "'),
        ("run: 1", "3:6: services.web.run: is the number 1"),
        ("build: /etc", '3:8: services.web.build: is the text "/etc"'),
        ("build: a\\b", '3:8: services.web.build: is the text "a\\b"'),
        ("build: ../a", "3:8: services.web.build: leads out of the source tree"),
        ("build: a/../..", "3:8: services.web.build: leads out of the source tree"),
        ("build: {dockerfile: ../Dockerfile}", "3:8: services.web.build: leads out of the source tree"),
        ("build: {arg: {}}", "3:9: services.web.build.arg: is an unknown key, would be `args`"),
        ("build: {args: {A: 'x${secrets.a}'}}", "3:19: services.web.build.args.A: has a reference, would be"),
        ("build: {target: -x}", '3:17: services.web.build.target: is the text "-x"'),
        ("build: a, image: b", "3:11: services.web.image: is beside `build`"),
        ("image: 'a b'", '3:8: services.web.image: is the text "a b", would be an image such as'),
        ("scale: {min: 3, max: 2}", "3:22: services.web.scale.max: is a range from 3 to 2"),
        ("resources: {db: {params: {}}}", "3:17: services.web.resources.db.slug: is missing"),
        (
            "resources: {db: {slug: p, params: {a: yes}}}",
            "3:39: services.web.resources.db.params.a: is the truth",
        ),
        ("resources: {db: {slug: p, params: {a: }}}", "3:39: services.web.resources.db.params.a: is empty"),
        (
            "requires: catalog",
            '3:11: services.web.requires: is the text "catalog", would be a list of services',
        ),
        ("requires: [a, b, a]", "3:18: services.web.requires[2]: is in the list already"),
        ("requires: [a, 1]", "3:15: services.web.requires[1]: is the number 1"),
        ("before: {timeout: 1m}", "3:9: services.web.before.run: is missing"),
        (
            "before: {run: x, timeout: 25h}",
            '3:27: services.web.before.timeout: is "25h", would be from 1s to 24h',
        ),
        ("rollout: canari", '3:10: services.web.rollout: is the text "canari", would be "canary"'),
        (
            "rollout: x",
            '3:10: services.web.rollout: is the text "x", would be rolling, blue-green, canary or',
        ),
        ("rollout: {steps: [1]}", "3:10: services.web.rollout.strategy: is missing"),
        (
            "rollout: {strategy: canary, keep: 1m}",
            "3:35: services.web.rollout.keep: has no `keep` where the strategy is canary, would be without",
        ),
        (
            "rollout: {strategy: canary, steps: [50, 10]}",
            "3:36: services.web.rollout.steps: do not rise from one to the next",
        ),
        ("rollout: {strategy: canary, steps: [0]}", "3:37: services.web.rollout.steps[0]: is the number 0"),
        ("port: 1, routes: [{path: /}]", "3:19: services.web.routes[0].host: is missing"),
        ("port: 1, routes: [{host: a_b}]", '3:26: services.web.routes[0].host: is the text "a_b"'),
        ("port: 1, routes: [{host: a, path: b}]", '3:35: services.web.routes[0].path: is the text "b"'),
        ("routes: [{host: a}]", "3:9: services.web.routes: lead to the service, but it has no port"),
        (
            "port: 1, routes: [{host: a.b, path: /c}, {host: A.b, path: /c/}]",
            (
                "3:42: services.web.routes[1]: takes a.b/c by the entrypoint entrypoint, as web does "
                "(deployd.yaml:3:19), would be"
            ),
        ),
        ("schedule: 0 3 * *", "3:11: services.web.schedule: has 4 fields, would be five"),
        ("schedule: 0 3 30 2 *", "3:11: services.web.schedule: has a day of month that cannot be"),
        ("schedule: 61 3 * * *", "3:11: services.web.schedule: has a minute that cannot be"),
        ("schedule: 0 3 * * *, port: 80", "3:22: services.web.port: is beside `schedule`"),
        ("schedule: 0 3 * * *, scale: 2", "3:29: services.web.scale: is more than one copy of what runs by"),
        ("watch: ['!']", "3:9: services.web.watch[0]: is no pattern that could match a file"),
        ("watch: [a, ../b]", "3:8: services.web.watch: leads out of the source tree"),
        (
            "env: {A: 'a${resources.db.url}'}",
            "3:12: services.web.env.A: has ${resources.db.url}, which is none of",
        ),
        (
            "env: {A: '${services.b.path}'}",
            "3:11: services.web.env.A: has a reference to what a service does not",
        ),
        ("env: {A: }", "3:10: services.web.env.A: is empty"),
        ("env: {A: [1]}", "3:10: services.web.env.A: is a list"),
        ("env: {A: !!binary aGk=}", '3:10: services.web.env.A: has the tag "!binary"'),
        ('env: {A: "\\0"}', "3:10: services.web.env.A: holds a character that text cannot have"),
        ("env: {PORT: 1}", "3:7: services.web.env.PORT: is no name for this"),
        ("env: {1A: 1}", "3:7: services.web.env.1A: is no name for this"),
        ("env: {A: '${', }", "3:11: services.web.env.A: begins a reference with ${ and does not close it"),
        ("env: {A: '$${a}${b}', }", "3:16: services.web.env.A: has a reference that begins with none of"),
    ],
)
def test_wrong_services(body: str, start: str) -> None:
    assert wrong(body).startswith(start)


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ("plain ${x}", 16),
        ("'it''s ${x}'", 17),
        ('"a\\u0041\\n${x}"', 20),
        ("&a !!str 'b${x}'", 21),
        ("|-\n      a ${x}", 10),
        ("'over\n      lines ${x}'", 10),
    ],
)
def test_a_wrong_reference_is_shown_where_it_begins(written: str, column: int) -> None:
    (problem,) = problems(f"deployd: 1\nservice:\n  name: a\n  env:\n    ABC: {written}\n")
    assert problem.startswith(
        f"deployd.yaml:5:{column}: service.env.ABC: has a reference that begins with none"
    )


def test_a_password_is_never_repeated() -> None:
    assert "hunter2" not in "".join(
        problems("deployd: 1\nservice: {name: a, env: {A: 'hunter2${x}', B: [hunter2]}}\n")
    )


def test_a_small_file_that_expands_without_end_is_refused() -> None:
    names = "".join(f"  a{number}: *all\n" for number in range(1000))
    env = ", ".join(f"K{number}: v" for number in range(1000))
    found = problems(f"deployd: 1\nservices:\n  first: &all {{env: {{{env}}}}}\n{names}")
    assert "has more than 50000 values" in found[-1] + found[0]


def test_a_flood_of_problems_is_cut() -> None:
    body = "".join(f"  k{number}: 1\n" for number in range(5000))
    found = problems(f"deployd: 1\nservice:\n  name: a\n{body}")
    assert len(found) == 201
    assert found[-1].endswith("file: has more problems than these; mend these first")
