"""What deployd.yaml may say: its layouts. The keys of a service are in `service.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployd.manifest import term
from deployd.manifest.service import EXCLUSIVE, RULES, SERVICE_KEYS
from deployd.manifest.shape import EXTENSION, Either, Key, Record, Shape, Table, Whole

__all__ = ["DOCUMENT", "EXTENSION", "NAMED_SERVICE", "ONE_SERVICE", "OVERRIDE", "TOP", "VERSION"]

VERSION = 1
WORLDS_MAXIMUM = 100
"""Each of them is checked. Who has more has worlds that are alike."""


def partial(shape: Shape) -> Shape:
    """The shape of what is laid over a value of this shape: it need not be whole by itself."""
    match shape:
        case Record(keys=keys):
            return replace(
                shape,
                keys={name: replace(key, shape=partial(key.shape)) for name, key in keys.items()},
                required={},
                one_of=(),
                rules=(),
            )
        case Table(values=values):
            return replace(shape, values=partial(values))
        case Either(options=options):
            return replace(shape, options=tuple(partial(one) for one in options))
        case _:
            return shape


NAMED_SERVICE = Record(
    "a mapping that describes the service",
    SERVICE_KEYS,
    exclusive=EXCLUSIVE,
    rules=RULES,
    title="service",
)
ONE_SERVICE = Record(
    "a mapping that describes the service",
    {
        "name": Key(
            term.SERVICE_NAME,
            "What the service is called: letters, digits and inner hyphens, at most 40, all in lower case. "
            "Only where a file has `service:`; below `services:` the key is the name.",
            example="name: hello",
        ),
        **SERVICE_KEYS,
    },
    required={"name": "a name, such as `name: hello`"},
    exclusive=EXCLUSIVE,
    rules=RULES,
)


def override() -> Record:
    """What a world may say of a service."""
    shape = partial(NAMED_SERVICE)
    assert isinstance(shape, Record)
    return replace(shape, what="a mapping of what differs in that world", title="override")


OVERRIDE = override()

WORLD = Record(
    "a mapping with `services:` (or `service:`, in a file that has it)",
    {
        "service": Key(OVERRIDE, "What differs of the one service of a file that has `service:`."),
        "services": Key(
            Table("a mapping of names to what differs of these services", term.SERVICE_NAME, OVERRIDE),
            "What differs, by the service's name.",
        ),
    },
    exclusive=(("service", "services"),),
    title="world",
)

TOP: Mapping[str, Key] = {
    "deployd": Key(
        Whole("1, the version of this file's format", VERSION, VERSION),
        "The version of this file's format: 1.",
        example="deployd: 1\nservice: {name: hello}",
    ),
    "service": Key(
        ONE_SERVICE,
        "The one service of this file, with its name inside. Either this or `services`.",
        example="deployd: 1\nservice:\n  name: hello\n  port: 8080",
    ),
    "services": Key(
        Table("a mapping of names to services", names=term.SERVICE_NAME, values=NAMED_SERVICE, at_least=1),
        "The services of this file by their names: at most 40 lower-case letters, digits and inner hyphens. "
        "A service of which nothing needs saying is `{}`.",
        example="deployd: 1\nservices:\n  cart:\n    build: services/cart\n  mailer: {}",
    ),
    "worlds": Key(
        Table("a mapping of worlds to what differs in them", term.WORLD_NAME, WORLD, at_most=WORLDS_MAXIMUM),
        "What differs in a world, by the world's name.",
        default="every world gets the same",
        example="deployd: 1\nservices:\n  cart:\n    scale: 1\nworlds:\n  production:\n    services:\n"
        "      cart:\n        scale: {min: 3, max: 10}",
    ),
}

DOCUMENT = Record(
    "a mapping with `deployd: 1` and `service:` or `services:`",
    TOP,
    required={"deployd": "the version of this file's format, `deployd: 1`"},
    one_of=(("service", "services"),),
)
