"""A tree of YAML nodes, read along a shape: plain values out, every problem noted with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Final

import yaml

from deployd.manifest.problem import Problems, shown, step
from deployd.manifest.schema import EXTENSION
from deployd.manifest.shape import Either, Later, Number, Record, Shape, Table, Text, Whole

__all__ = ["Reader"]

READ_MAXIMUM = 50_000
"""Values. Aliases can make a small file expand without end."""

PROBLEMS_MAXIMUM = 200
"""Nobody reads on after so many lines."""

REFUSED: Final = object()
"""Stands where a value was wrong; the problem is noted."""

NOT_SUPPORTED = "is not supported by this version of deployd; leave it out"

TAG = "tag:yaml.org,2002:"
NUMBERS = ("int", "float")
SCALARS = {
    "str": "the text",
    "timestamp": "the text",  # dates are text in YAML 1.2, and here
    "int": "the number",
    "float": "the number",
    "bool": "the truth value",
}
COLLECTIONS = {"map": "a mapping", "seq": "a list"}
DECIMAL = re.compile(r"-?[0-9]{1,15}")
FRACTION = re.compile(r"-?[0-9]{0,15}\.?[0-9]{1,15}")
UNREPRESENTABLE = re.compile("[\x00\ud800-\udfff]")
"""Neither an environment variable nor the database can hold these."""

Pairs = dict[str, tuple[yaml.ScalarNode, yaml.Node]]


def kind(node: yaml.Node) -> str:
    """`int`, `map`, …; a tag of the developer's own as it is."""
    name = str(node.tag).removeprefix(TAG)
    if isinstance(node, yaml.ScalarNode):
        return name if name in SCALARS or name == "null" else f"!{name}"
    fits = name == ("map" if isinstance(node, yaml.MappingNode) else "seq")
    return name if fits else f"!{name}"


def said(node: yaml.Node) -> str:
    """What is there, for people."""
    of = kind(node)
    if of == "null":
        return "is empty"
    if of in COLLECTIONS:
        return f"is {COLLECTIONS[of]}"
    if of not in SCALARS:
        return f"has the tag {shown(of)}"
    text = shown(str(node.value))
    return f"is {SCALARS[of]} " + (text if of == "str" else text[1:-1])


def suits(shape: Shape, node: yaml.Node) -> bool:
    """Whether a value of this kind may be meant to have this shape."""
    of = kind(node)
    match shape:
        case Either(options=options):
            return any(suits(option, node) for option in options)
        case Whole() | Number():
            return of in NUMBERS
        case Text(scalar=scalar):
            return of in SCALARS if scalar else of in ("str", "timestamp")
        case _:
            return of == "map"


class Reader:
    """Reads one document. `problems` is empty if, and only if, nothing was REFUSED."""

    def __init__(self, problems: Problems, folder: str) -> None:
        self.problems = problems
        self._folder = folder
        self._read = 0

    def refuse(self, node: yaml.Node, path: str, text: str) -> object:
        """Note a problem at a node; end the reading where there are too many."""
        self.problems.add(node.start_mark.line, node.start_mark.column, path, text)
        if len(self.problems) >= PROBLEMS_MAXIMUM:
            self.problems.add(
                node.start_mark.line,
                node.start_mark.column,
                "file",
                "has more problems than these; mend these first",
            )
            raise self.problems.error()
        return REFUSED

    def read(self, node: yaml.Node, shape: Shape, path: str) -> object:
        """The value, or REFUSED."""
        self.count(node)
        if not suits(shape, node):
            return self.refuse(node, path, f"{said(node)}, would be {shape.what}")
        match shape:
            case Either(options=options):
                return self.read(node, next(one for one in options if suits(one, node)), path)
            case Text():
                return self.text(node, shape, path)
            case Whole(minimum=minimum, maximum=maximum):
                number = int(node.value) if DECIMAL.fullmatch(node.value) else None
                if number is None or number < minimum or (maximum is not None and number > maximum):
                    return self.refuse(node, path, f"{said(node)}, would be {shape.what}")
                return number
            case Number(minimum=low, maximum=high):
                amount = float(node.value) if FRACTION.fullmatch(node.value) else None
                if amount is None or not low <= amount <= high:
                    return self.refuse(node, path, f"{said(node)}, would be {shape.what}")
                return amount
            case Later(what=what):
                return self.refuse(node, path, f"{what} {NOT_SUPPORTED}")
            case Table():
                return self.table(node, shape, path)
            case Record():
                return self.record(node, shape, path)

    def text(self, node: yaml.Node, shape: Text, path: str) -> object:
        """Text, checked and understood."""
        text = str(node.value)
        if UNREPRESENTABLE.search(text):
            return self.refuse(node, path, "holds a character that text cannot have, would be plain text")
        try:
            if re.fullmatch(shape.pattern, text):
                return shape.value(text)
        except ValueError as error:
            return self.refuse(node, path, str(error))
        return self.refuse(node, path, shape.wrong or f"{said(node)}, would be {shape.what}")

    def table(self, node: yaml.Node, shape: Table, path: str) -> object:
        """A mapping with names of the developer's choice, in the order of the file."""
        values: dict[str, object] = {}
        for key, (name, value) in self.pairs(node, path).items():
            here = step(path, key)
            if not re.fullmatch(shape.names.pattern, key):
                self.refuse(name, here, f"is no name for this, would be {shape.names.what}")
            values[key] = self.read(value, shape.values, here)
        if len(values) < shape.at_least:
            return self.refuse(node, path, f"is empty, would be {shape.what}")
        return values

    def record(self, node: yaml.Node, shape: Record, path: str) -> object:
        """A mapping with known keys."""
        before = len(self.problems)
        values: dict[str, object] = {}
        pairs = self.pairs(node, path)
        for key, (name, value) in pairs.items():
            here = step(path, key)
            if key in shape.keys:
                values[key] = self.read(value, shape.keys[key], here)
            elif key in shape.later:
                self.refuse(name, here, NOT_SUPPORTED)
            else:
                self.refuse(name, here, f"is an unknown key, would be {nearest(key, shape)}")
        for key, what in shape.required.items():
            if key not in pairs:
                self.refuse(node, step(path, key), f"is missing, would be {what}")
        for one, other in (*shape.exclusive, *shape.one_of):
            if one in pairs and other in pairs:
                self.refuse(
                    pairs[other][0], step(path, other), f"is beside `{one}`, would be only one of the two"
                )
        for one, other in shape.one_of:
            if one not in pairs and other not in pairs:
                self.refuse(node, path, f"has neither `{one}` nor `{other}`, would be {shape.what}")
        if len(self.problems) == before:
            for key, what in (found for rule in shape.rules for found in rule(values, self._folder)):
                self.refuse(pairs[key][1], step(path, key), what)
        return values

    def pairs(self, node: yaml.Node, path: str, above: tuple[int, ...] = ()) -> Pairs:
        """Key to its node and its value's; merged mappings (`<<`) behind the mapping's own keys."""
        own: Pairs = {}
        merged: Pairs = {}
        for key, value in node.value:
            self.count(key)
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(
                    key, path, f"has {COLLECTIONS.get(kind(key), 'a collection')} as a key, would be text"
                )
            elif key.tag == TAG + "merge":
                for source in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                    merged = {**self.merged(source, path, (*above, id(node))), **merged}
            elif key.value in own:
                first = own[key.value][0].start_mark.line + 1
                self.refuse(key, step(path, key.value), f"is here already (line {first}); keep one of them")
            elif not key.value.startswith(EXTENSION):
                own[key.value] = (key, value)
        return {**own, **{key: pair for key, pair in merged.items() if key not in own}}

    def merged(self, source: yaml.Node, path: str, above: tuple[int, ...]) -> Pairs:
        """What a `<<` brings."""
        if kind(source) == "map" and id(source) not in above:
            return self.pairs(source, path, above)
        self.refuse(
            source, step(path, "<<"), "cannot be merged, would be another mapping, or a list of mappings"
        )
        return {}

    def count(self, node: yaml.Node) -> None:
        """End the reading of a document that expands too far."""
        self._read += 1
        if self._read > READ_MAXIMUM:
            self.refuse(node, "", f"has more than {READ_MAXIMUM} values with its aliases, would have fewer")
            raise self.problems.error()


def nearest(key: str, shape: Record) -> str:
    """The known key that was probably meant, or all of them."""
    known: Mapping[str, Shape] = shape.keys
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"`{close[0]}`" if close else "one of " + ", ".join(known)
