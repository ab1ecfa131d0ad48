"""What a world has for those who deploy to it, and what a manifest asks for that it has not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployd.manifest.check import references
from deployd.manifest.entry import Entry, Where
from deployd.manifest.problem import meant, shown
from deployd.model.definition import Definition, Parameter, Value
from deployd.model.reference import Reference, ReferenceKind

__all__ = ["Offer", "check_offer"]

TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "string": ((str,), "text (in quotes, where it looks like something else)"),
    "boolean": ((bool,), "true or false"),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is in a world."""

    world: str
    slugs: Mapping[str, Definition] = field(default_factory=dict)
    services: frozenset[str] = frozenset()
    """Those that live there, beyond the manifest's."""
    secrets: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()
    entrypoints: frozenset[str] = frozenset()


def check_offer(entries: Iterable[Entry], names: frozenset[str], offer: Offer) -> None:
    """Note what these services ask for and the world has not. `names`: the services of the manifest."""
    known = names | offer.services
    for entry in entries:
        for key, need in entry.spec.resources.items():
            definition = offer.slugs.get(need.slug)
            if definition is None:
                absent(entry, ("resources", key, "slug"), need.slug, offer.slugs, offer)
            else:
                params(entry, ("resources", key, "params"), need.params, definition)
        for index, name in enumerate(entry.spec.requires):
            if name not in known:
                absent(entry, ("requires", index), name, known, offer)
        for index, route in enumerate(entry.spec.routes):
            if route.entrypoint not in offer.entrypoints:
                where: Where = ("routes", index, "entrypoint")
                absent(entry, where, route.entrypoint, offer.entrypoints, offer, what="the entrypoint ")
            if route.gate is not None and route.gate not in offer.gates:
                where = ("routes", index, "gate")
                absent(entry, where, route.gate, offer.gates, offer, what="the gate ")
        for where, start, reference in references(entry):
            refer(entry, where, start, reference, known, offer)


def absent(entry: Entry, where: Where, name: str, known: Iterable[str], offer: Offer, what: str = "") -> None:
    """The world has not what is named here: say what was meant, and all that it has."""
    names = sorted(known)
    right = meant(name, names, "would be left out: it has none")
    if "one of" not in right and len(names) > 1:
        right += f" (it has {', '.join(names)})"
    entry.note(where, f"is {what}{shown(name)}, which the world {offer.world} has not, {right}")


def refer(
    entry: Entry, where: Where, start: int, reference: Reference, known: frozenset[str], offer: Offer
) -> None:
    """Whether there is what a reference names."""
    name = reference.name
    said = f"has {reference}, which the world {offer.world} has not"
    match reference.kind:
        case ReferenceKind.SERVICES if name not in known:
            entry.note(where, f"{said}, {meant(name, known, 'would be left out: it has none')}", start)
        case ReferenceKind.SECRETS if name not in offer.secrets:
            near = difflib.get_close_matches(name, sorted(offer.secrets), n=1)
            right = f"would be {shown(near[0])}, or set it" if near else "set it"
            entry.note(where, f"{said}, {right}: deployd secret set {name}", start)
        case ReferenceKind.RESOURCES if (need := entry.spec.resources.get(name)) is not None:
            definition = offer.slugs.get(need.slug)
            if definition is not None and reference.output not in definition.outputs:
                right = meant(reference.output, definition.outputs, "would be left out: it has none")
                said = f"has {reference}, but {need.slug} has no output {reference.output}"
                entry.note(where, f"{said}, {right}", start)


def params(entry: Entry, where: Where, said: Mapping[str, Value], definition: Definition) -> None:
    """Whether the definition lets a developer say this."""
    for name, value in said.items():
        parameter = definition.params.get(name)
        if parameter is None:
            right = meant(name, definition.params, "would be left out: it has none")
            entry.note((*where, name), f"is no parameter of {definition.slug}, {right}", key=True)
        elif not fits(parameter, value):
            text = shown(value) if isinstance(value, str) else str(value).lower()
            entry.note((*where, name), f"is {text}, would be {expected(parameter)}")


def fits(parameter: Parameter, value: Value) -> bool:
    """Type, choices and bounds."""
    types, _ = TYPES[parameter.type]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return False
    if parameter.choices and value not in parameter.choices:
        return False
    if isinstance(value, str):
        return True
    low, high = parameter.minimum, parameter.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def expected(parameter: Parameter) -> str:
    """What would be right."""
    if parameter.choices:
        return "one of " + ", ".join(
            shown(one) if isinstance(one, str) else str(one).lower() for one in parameter.choices
        )
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", parameter.minimum), ("at most", parameter.maximum))
        if bound is not None
    ]
    return " ".join([TYPES[parameter.type][1], *([f"of {' and '.join(bounds)}"] if bounds else [])])
