"""The published JSON Schema (draft 2020-12) of deployd.yaml, from the facts that the reader follows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from deployd.manifest.schema import DOCUMENT, EXTENSION
from deployd.manifest.shape import (
    Choice,
    Either,
    Items,
    Key,
    Number,
    Plain,
    Record,
    Shape,
    Table,
    Text,
    Whole,
)

__all__ = ["json_schema"]

DEFINITIONS = "$defs"


def json_schema() -> dict[str, Any]:
    """A schema that accepts what `parse` accepts, but for what only a whole file can show."""
    definitions: dict[str, Any] = {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deployd.yaml",
        **described(DOCUMENT, definitions),
        DEFINITIONS: definitions,
    }


def described(shape: Shape, definitions: dict[str, Any]) -> dict[str, Any]:
    """One shape; what has a title is described once, among the definitions."""
    about = {"description": shape.what[:1].upper() + shape.what[1:]}
    match shape:
        case Text(pattern=pattern, scalar=scalar, published=published):
            kinds = ["string", "number", "boolean"] if scalar else "string"
            return about | {"type": kinds, "pattern": f"^(?:{published or pattern})$"}
        case Choice(words=words):
            return about | {"enum": list(words)}
        case Whole(minimum=low, maximum=high):
            bounds = {"const": low} if low == high else bounded(low, high)
            return about | {"type": "integer"} | bounds
        case Number(minimum=minimum, maximum=maximum):
            return about | {"type": "number"} | bounded(minimum, maximum)
        case Plain():
            return about | {"type": ["string", "number", "boolean"]}
        case Either(options=options):
            return about | {"anyOf": [described(one, definitions) for one in options]}
        case Items(values=values, at_least=least, distinct=distinct):
            enough = {"minItems": least} if least else {}
            unique = {"uniqueItems": True} if distinct else {}
            return about | {"type": "array", "items": described(values, definitions)} | enough | unique
        case Table(names=names, values=values, at_least=least, at_most=most):
            patterns = {
                f"^{EXTENSION}": {},
                f"^(?!{EXTENSION})(?:{names.pattern})$": described(values, definitions),
            }
            filled = ({"minProperties": least} if least else {}) | ({"maxProperties": most} if most else {})
            return (
                about
                | {"type": "object", "patternProperties": patterns, "additionalProperties": False}
                | filled
            )
        case Record(title=""):
            return about | record(shape, definitions)
        case Record(title=title):
            if title not in definitions:
                definitions[title] = about | record(shape, definitions)
            return {"$ref": f"#/{DEFINITIONS}/{title}"}


def bounded(minimum: float, maximum: float | None) -> dict[str, float]:
    """Both bounds are included."""
    return {"minimum": minimum} if maximum is None else {"minimum": minimum, "maximum": maximum}


def record(shape: Record, definitions: dict[str, Any]) -> dict[str, Any]:
    """A mapping with known keys, and which of them go together."""
    together: list[dict[str, Any]] = [{"not": {"required": list(pair)}} for pair in shape.exclusive]
    together += [{"oneOf": [{"required": [key]} for key in pair]} for pair in shape.one_of]
    return {
        "type": "object",
        "properties": {name: known(key, definitions) for name, key in shape.keys.items()},
        "patternProperties": {f"^{EXTENSION}": {}},
        "additionalProperties": False,
        **({"required": list(shape.required)} if shape.required else {}),
        **({"allOf": together} if together else {}),
    }


def known(key: Key, definitions: dict[str, Any]) -> dict[str, Any]:
    """What people know of the key says more than what its values have in common."""
    default = f" Default: {key.default}." if key.default else ""
    return described(key.shape, definitions) | {"description": key.about + default}


def main(arguments: list[str]) -> int:
    """Print docs/deployd.schema.json; with `--check FILE` say whether FILE is current (exit status 1: no)."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if arguments[:1] == ["--check"]:
        if Path(arguments[1]).read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{arguments[1]} is not what deployd.manifest.schema says: run `make docs`\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
