"""Parameters that somebody gives by hand, as text: typed by the definition behind the slug, and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable

from deployd.errors import InputError
from deployd.manifest.offer import expected, fits
from deployd.manifest.problem import meant, shown
from deployd.model.definition import Definition, Parameter, Value

__all__ = ["typed"]

_TRUTH = {"true": True, "false": False}


def typed(definition: Definition, given: Iterable[tuple[str, str]]) -> dict[str, Value]:
    """The values by name. Raises InputError that says what would be right."""
    found: dict[str, Value] = {}
    for name, text in given:
        parameter = definition.params.get(name)
        if parameter is None:
            right = meant(name, definition.params, "would be left out: it has none")
            raise InputError(
                f"{shown(name)} is no parameter of {definition.slug}, {right}", remedy=_listed(definition)
            )
        if name in definition.settings:
            raise InputError(
                f"parameter {name} of {definition.slug} is fixed by its definition", remedy="Leave it out."
            )
        if name in found:
            raise InputError(f"parameter {name} is given twice", remedy="Give it once.")
        value = _read(parameter, text)
        if value is None or not fits(parameter, value):
            raise InputError(
                f"parameter {name} of {definition.slug} is {shown(text)}, would be {expected(parameter)}",
                remedy=_listed(definition),
            )
        found[name] = value
    return found


def _read(parameter: Parameter, text: str) -> Value | None:
    """None for what is no value of its type."""
    match parameter.type:
        case "string":
            return text
        case "boolean":
            return _TRUTH.get(text.strip().lower())
        case "integer":
            try:
                return int(text)
            except ValueError:
                return None
        case _:
            try:
                number = float(text)
            except ValueError:
                return None
            return number if math.isfinite(number) else None


def _listed(definition: Definition) -> str:
    if not definition.params:
        return f"{definition.slug} has no parameters."
    each = "; ".join(f"{name}: {expected(one)}" for name, one in definition.params.items())
    return f"{definition.slug} has {each}."
