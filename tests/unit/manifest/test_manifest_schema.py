"""The JSON Schema and the reader say the same."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployd.errors import ManifestError
from deployd.manifest import parse
from deployd.manifest.jsonschema import json_schema as generated

HELLO = Path(__file__).parents[3] / "examples" / "hello" / "deployd.yaml"


@cache
def json_schema() -> dict[str, Any]:
    return generated()


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Draft 2020-12, as far as this schema uses it; an unknown keyword fails the test."""
    return all(holds(word, fact, schema, value) for word, fact in schema.items())


def holds(word: str, fact: Any, schema: dict[str, Any], value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match word:
        case "$schema" | "title" | "description" | "patternProperties" | "additionalProperties":
            return True  # the last two are judged with `properties`, or at `type`
        case "type":
            kinds = fact if isinstance(fact, list) else [fact]
            return any(of_type(kind, value) for kind in kinds) and properties(schema, value)
        case "properties" | "$defs":
            return True
        case "$ref":
            return accepts(json_schema()["$defs"][fact.removeprefix("#/$defs/")], value)
        case "enum":
            return value in fact
        case "items":
            return not isinstance(value, list) or all(accepts(fact, one) for one in value)
        case "minItems":
            return not isinstance(value, list) or len(value) >= fact
        case "uniqueItems":
            return not isinstance(value, list) or all(value.count(one) == 1 for one in value)
        case "const":
            return value is not True and value == fact
        case "minimum":
            return not number or value >= fact
        case "maximum":
            return not number or value <= fact
        case "pattern":
            return not isinstance(value, str) or re.search(fact, value) is not None
        case "required":
            return not isinstance(value, dict) or all(key in value for key in fact)
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= fact
        case "maxProperties":
            return not isinstance(value, dict) or len(value) <= fact
        case "anyOf":
            return any(accepts(one, value) for one in fact)
        case "oneOf":
            return sum(accepts(one, value) for one in fact) == 1
        case "allOf":
            return all(accepts(one, value) for one in fact)
        case "not":
            return not accepts(fact, value)
    raise AssertionError(f"unknown keyword {word}")


def of_type(kind: str, value: Any) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    raise AssertionError(kind)


def properties(schema: dict[str, Any], value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    for key, inner in value.items():
        found = [schema["properties"][key]] if key in schema.get("properties", {}) else []
        found += [one for name, one in schema.get("patternProperties", {}).items() if re.search(name, key)]
        if not found:
            return False
        if not all(accepts(one, inner) for one in found):
            return False
    return True


def parses(text: str) -> bool:
    try:
        parse(text)
    except ManifestError:
        return False
    return True


def test_the_schema_is_json_of_its_draft() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["deployd"]["const"] == 1
    assert schema["required"] == ["deployd"]
    assert schema["properties"]["service"]["required"] == ["name"]
    assert schema["additionalProperties"] is False
    port = schema["properties"]["service"]["properties"]["port"]
    assert (port["minimum"], port["maximum"]) == (1, 65535)


def test_the_example_is_right_for_both() -> None:
    text = HELLO.read_text(encoding="utf-8")
    assert accepts(json_schema(), yaml.safe_load(text))
    assert list(parse(text).services) == ["hello"]


@pytest.mark.parametrize(
    ("service", "right"),
    [
        ("{}", False),
        ("{name: a}", True),
        ("{name: a, x-b: [1]}", True),
        ("{name: A}", False),
        ("{name: a-}", False),
        ("{name: a, build: services/cart}", True),
        ("{name: a, build: /etc}", False),
        ("{name: a, build: {context: b, dockerfile: D}}", True),
        ("{name: a, build: {target: b, args: {A: 1, B_C: x}}}", True),
        ("{name: a, build: {args: [A=1]}}", False),
        ("{name: a, build: {args: {A: '${secrets.a}'}}}", False),
        ("{name: a, run: python3 server.py}", True),
        ("{name: a, run: ''}", False),
        ("{name: a, port: 80}", True),
        ("{name: a, port: 0}", False),
        ("{name: a, port: true}", False),
        ("{name: a, port: 80, ports: {b: 81}}", False),
        ("{name: a, ports: {http: 80, x-b: 1}}", True),
        ("{name: a, ports: {}}", False),
        ("{name: a, ports: {H: 80}}", False),
        ("{name: a, port: 80, health: /ok}", True),
        ("{name: a, port: 80, health: ok}", False),
        ("{name: a, health: {timeout: 30s}}", True),
        ("{name: a, health: {timeout: 5}}", True),
        ("{name: a, health: {timeout: 0}}", False),
        ("{name: a, size: {cpu: 0.5, memory: 256Mi}}", True),
        ("{name: a, size: {memory: 256}}", False),
        ("{name: a, size: {disk: 1}}", False),
        ("{name: a, scale: 3}", True),
        ("{name: a, scale: {min: 1}}", False),
        ("{name: a, scale: {min: 1, max: 3}}", True),
        ("{name: a, scale: {max: 3}}", True),
        ("{name: a, scale: {min: 0, max: 3}}", False),
        ("{name: a, env: {A: 1, B: b, C: true, D: 1.5, E: '$${x}'}}", True),
        ("{name: a, env: {A: '${x}'}}", False),
        ("{name: a, env: {A: [1]}}", False),
        ("{name: a, env: {PORT: 1}}", False),
        ("{name: a, env: {PORTS: 1}}", True),
        ("{name: a, env: {DEPLOYD_X: 1}}", False),
        ("{name: a, env: {A: 'a ${services.b.url} $ $$ ${secrets.c-d} $${'}}", True),
        ("{name: a, env: {A: '${resources.db.url}'}, resources: {db: postgres}}", True),
        ("{name: a, env: {A: '${services.b.path}'}}", False),
        ("{name: a, env: {A: '${secrets.b.c}'}}", False),
        ("{name: a, env: {A: '${secrets.b'}}", False),
        ("{name: a, env: {A: '$$${secrets.b.c}'}}", True),
        ("{name: a, image: b}", True),
        ("{name: a, image: 'localhost:5000/shop/cart:1.4'}", True),
        (f"{{name: a, image: 'r.example.com/cart@sha256:{'0' * 64}'}}", True),
        ("{name: a, image: Cart}", False),
        ("{name: a, image: 'a b'}", False),
        ("{name: a, image: b, build: .}", False),
        ("{name: a, resources: {db: postgres}}", True),
        ("{name: a, resources: {db: {slug: postgres, params: {a: 1, b: c, d: true}, shared: e}}}", True),
        ("{name: a, resources: {db: {params: {a: 1}}}}", False),
        ("{name: a, resources: {db: {slug: postgres, params: {a: [1]}}}}", False),
        ("{name: a, resources: {db: {slug: postgres, share: e}}}", False),
        ("{name: a, resources: {Db: postgres}}", False),
        ("{name: a, resources: [postgres]}", False),
        ("{name: a, requires: [b, c]}", True),
        ("{name: a, requires: []}", True),
        ("{name: a, requires: b}", False),
        ("{name: a, requires: [b, b]}", False),
        ("{name: a, requires: [B]}", False),
        ("{name: a, before: python3 migrate.py}", True),
        ("{name: a, before: {run: x, timeout: 20m}}", True),
        ("{name: a, before: {timeout: 20m}}", False),
        ("{name: a, before: {run: x, timeout: 0}}", False),
        ("{name: a, rollout: blue-green}", True),
        ("{name: a, rollout: {strategy: blue-green, keep: 10m}}", True),
        ("{name: a, rollout: {strategy: canary, steps: [1, 99], interval: 60}}", True),
        ("{name: a, rollout: {steps: [1, 99]}}", False),
        ("{name: a, rollout: {strategy: canary, steps: []}}", False),
        ("{name: a, rollout: {strategy: canary, steps: [100]}}", False),
        ("{name: a, rollout: fast}", False),
        ("{name: a, port: 80, routes: [{host: Shop.example.com}]}", True),
        ("{name: a, port: 80, routes: [{host: b.c, path: /d/, entrypoint: e, gate: f}]}", True),
        ("{name: a, port: 80, routes: [{path: /d}]}", False),
        ("{name: a, port: 80, routes: {host: b.c}}", False),
        ("{name: a, port: 80, routes: [{host: 'b.c:80'}]}", False),
        ("{name: a, port: 80, routes: [{host: b.c, path: /d/../e}]}", False),
        ("{name: a, port: 80, routes: [{host: b.c, path: '/d?e'}]}", False),
        ("{name: a, port: 80, routes: [{host: b.c, path: d}]}", False),
        ("{name: a, schedule: '0 3 * * *'}", True),
        ("{name: a, schedule: '*/5 0-6,22 1 JAN MON'}", True),
        ("{name: a, schedule: '0 3 * *'}", False),
        ("{name: a, schedule: '@daily'}", False),
        ("{name: a, schedule: '0 3 * * *', port: 80}", False),
        ("{name: a, schedule: '0 3 * * *', health: {timeout: 3}}", False),
        ("{name: a, schedule: '0 3 * * *', routes: []}", False),
        ("{name: a, schedule: '0 3 * * *', rollout: rolling}", False),
        ("{name: a, watch: [libraries/**, '!*.md']}", True),
        ("{name: a, watch: libraries}", False),
    ],
)
def test_schema_and_reader_agree(service: str, right: bool) -> None:
    text = f"deployd: 1\nservice: {service}\n"
    assert (accepts(json_schema(), yaml.safe_load(text)), parses(text)) == (right, right)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("deployd: 1", False),
        ("deployd: 2\nservice: {name: a}", False),
        ("deployd: 1\nservices: {}", False),
        ("deployd: 1\nservices: {a: {}, b: {}}", True),
        ("deployd: 1\nservices: {a: {name: a}}", False),
        ("deployd: 1\nservices: {a: {}}\nservice: {name: b}", False),
        ("deployd: 1\nservice: {name: a}\nworlds: {}", True),
        ("deployd: 1\nservice: {name: a}\nworlds: {b: {}, c-1: {service: {scale: 2}}}", True),
        ("deployd: 1\nservice: {name: a}\nworlds: {b: {services: {a: {health: {timeout: 3}}}}}", True),
        ("deployd: 1\nservice: {name: a}\nworlds: {b: {service: {}, services: {}}}", False),
        ("deployd: 1\nservice: {name: a}\nworlds: {b: {service: {name: a}}}", False),
        ("deployd: 1\nservice: {name: a}\nworlds: {b: {scale: 2}}", False),
        ("deployd: 1\nservice: {name: a}\nworlds: {b: {service: {scale: 0}}}", False),
        ("deployd: 1\nservice: {name: a}\nworlds: {'b c': {}}", False),
        (
            "deployd: 1\nservice: {name: a}\nworlds:" + "".join(f"\n  w{one}: {{}}" for one in range(101)),
            False,
        ),
        (
            (
                "deployd: 1\nservices: {a: {resources: {db: p}}}\nworlds: {b: {services: {a: {resources: "
                "{db: {params: {c: 1}}}}}}}"
            ),
            True,
        ),
    ],
)
def test_schema_and_reader_agree_on_layouts(text: str, right: bool) -> None:
    assert (accepts(json_schema(), yaml.safe_load(text)), parses(text)) == (right, right)
