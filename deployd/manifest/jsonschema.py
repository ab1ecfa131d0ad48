"""The published JSON Schema (draft 2020-12) of deployd.yaml, from the facts that the reader follows."""

from __future__ import annotations

from typing import Any

from deployd.manifest.schema import DOCUMENT, EXTENSION
from deployd.manifest.shape import Either, Later, Number, Record, Shape, Table, Text, Whole

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """A schema that accepts what `parse` accepts, but for what only a whole file can show."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deployd.yaml",
        **described(DOCUMENT),
    }


def described(shape: Shape) -> dict[str, Any]:
    """One shape."""
    about = {"description": shape.what[:1].upper() + shape.what[1:]}
    match shape:
        case Text(pattern=pattern, scalar=scalar):
            kinds = ["string", "number", "boolean"] if scalar else "string"
            return about | {"type": kinds, "pattern": f"^(?:{pattern})$"}
        case Whole(minimum=low, maximum=high):
            bounds = {"const": low} if low == high else bounded(low, high)
            return about | {"type": "integer"} | bounds
        case Number(minimum=minimum, maximum=maximum):
            return about | {"type": "number"} | bounded(minimum, maximum)
        case Either(options=options):
            return about | {"anyOf": [described(one) for one in options if not isinstance(one, Later)]}
        case Table(names=names, values=values, at_least=least):
            patterns = {f"^{EXTENSION}": {}, f"^(?!{EXTENSION})(?:{names.pattern})$": described(values)}
            enough = {"minProperties": least} if least else {}
            return (
                about
                | {"type": "object", "patternProperties": patterns, "additionalProperties": False}
                | enough
            )
        case Record():
            return about | record(shape)
        case Later():
            return about | {"not": {}}


def bounded(minimum: float, maximum: float | None) -> dict[str, float]:
    """Both bounds are included."""
    return {"minimum": minimum} if maximum is None else {"minimum": minimum, "maximum": maximum}


def record(shape: Record) -> dict[str, Any]:
    """A mapping with known keys, and which of them go together."""
    together: list[dict[str, Any]] = [{"not": {"required": list(pair)}} for pair in shape.exclusive]
    together += [{"oneOf": [{"required": [key]} for key in pair]} for pair in shape.one_of]
    return {
        "type": "object",
        "properties": {key: described(value) for key, value in shape.keys.items()},
        "patternProperties": {f"^{EXTENSION}": {}},
        "additionalProperties": False,
        **({"required": list(shape.required)} if shape.required else {}),
        **({"allOf": together} if together else {}),
    }
