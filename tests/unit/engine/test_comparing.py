"""In what two specifications differ, in the words of the manifest."""

from __future__ import annotations

from dataclasses import replace

from deployd.engine.comparing import compared, flat, text_of
from deployd.model.plan import PlanField
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

WHOLE = ServiceSpec(
    "cart",
    build=BuildSpec("services/cart", "Dockerfile.slim", "last", {"B": "2", "A": "1"}),
    run="python -m cart",
    ports={"http": 8080, "grpc": 9090},
    health=HealthSpec("/healthz", 120.0),
    size=SizeSpec(0.5, 256 * 1024**2),
    scale=ScaleSpec(2, 10),
    env={"KEY": "${secrets.payment}", "PRICE": "$${no reference}"},
    resources={"db": ResourceNeed("postgres", {"connections": 40, "fast": True}, "orders")},
    requires=("catalog", "web"),
    before=BeforeSpec("python -m cart.migrate", 60.0),
    rollout=RolloutSpec("canary", (10, 50), 30.0, 0.0),
    routes=(RouteSpec("shop.test", "/cart", gate="office"),),
    watch=("/proto/*",),
)


def test_all_that_is_written_is_told_and_nothing_else() -> None:
    assert flat(ServiceSpec("cart")) == {}
    assert flat(WHOLE) == {
        "build": "services/cart",
        "build.dockerfile": "Dockerfile.slim",
        "build.target": "last",
        "build.args.A": "1",
        "build.args.B": "2",
        "run": "python -m cart",
        "ports.http": "8080",
        "ports.grpc": "9090",
        "health.path": "/healthz",
        "health.timeout": "120s",
        "scale": "2 to 10",
        "size.cpu": "0.5",
        "size.memory": "256Mi",
        "env.KEY": "${secrets.payment}",
        "env.PRICE": "$${no reference}",
        "resources.db": "postgres",
        "resources.db.shared": "orders",
        "resources.db.params.connections": "40",
        "resources.db.params.fast": "true",
        "requires": "catalog, web",
        "before": "python -m cart.migrate",
        "before.timeout": "60s",
        "rollout": "canary",
        "rollout.steps": "10 %, 50 %",
        "rollout.interval": "30s",
        "routes.shop.test/cart": "entrypoint, gate office",
        "watch": "/proto/*",
    }


def test_every_part_of_a_specification_is_compared() -> None:
    """One that is new in ServiceSpec has to be told, too."""
    plain, told = ServiceSpec("cart"), set()
    for name in ServiceSpec.__dataclass_fields__.keys() - {"name", "image", "schedule"}:
        fields = compared(flat(plain), flat(replace(plain, **{name: getattr(WHOLE, name)})))
        assert fields, name
        told |= {one.path for one in fields}
    assert told == flat(WHOLE).keys()
    for name in ("image", "schedule"):
        assert compared({}, flat(replace(plain, **{name: "x"}))) == (PlanField(name, None, "x"),)


def test_what_is_gone_comes_last() -> None:
    fields = compared({"a": "1", "b": "2", "c": "3"}, {"c": "4", "b": "2", "d": "5"})
    assert fields == (PlanField("c", "3", "4"), PlanField("d", None, "5"), PlanField("a", "1", None))


def test_amounts_are_told_as_people_write_them() -> None:
    for amount, text in ((256 * 1024**2, "256Mi"), (512 * 10**6, "512M"), (1024**3, "1Gi"), (1001, "1001")):
        assert flat(ServiceSpec("x", size=SizeSpec(memory=amount))) == {"size.memory": text}
    assert [text_of(one) for one in (True, 0.50, 3, "x", [1, "a"], {"a": 1})] == [
        *("true", "0.5", "3", "x", "1, a", "a: 1")
    ]
