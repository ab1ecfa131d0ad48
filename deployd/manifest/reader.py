"""A tree of YAML nodes, read along a shape: plain values out, every problem noted with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

import yaml

from deployd.manifest.node import COLLECTIONS, NUMBERS, SCALARS, TAG, kind, place, said
from deployd.manifest.problem import Problems, item, step
from deployd.manifest.shape import (
    EXTENSION,
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

__all__ = ["Reader"]

READ_MAXIMUM = 50_000
"""Values. Aliases can make a small file expand without end."""

PROBLEMS_MAXIMUM = 200
"""Nobody reads on after so many lines."""

REFUSED: Final = object()
"""Stands where a value was wrong; the problem is noted."""

DECIMAL = re.compile(r"-?[0-9]{1,15}")
FRACTION = re.compile(r"-?[0-9]{0,15}\.?[0-9]{1,15}")
TRUTHS = {"true": True, "false": False}
UNREPRESENTABLE = re.compile("[\x00\ud800-\udfff]")
"""Neither an environment variable nor the database can hold these."""

Pairs = dict[str, tuple[yaml.ScalarNode, yaml.Node]]


def suits(shape: Shape, node: yaml.Node) -> bool:
    """Whether a value of this kind may be meant to have this shape."""
    of = kind(node)
    match shape:
        case Either(options=options):
            return any(suits(option, node) for option in options)
        case Whole() | Number():
            return of in NUMBERS
        case Plain():
            return of in SCALARS
        case Choice():
            return of == "str"
        case Text(scalar=scalar):
            return of in SCALARS if scalar else of in ("str", "timestamp")
        case Items():
            return of == "seq"
        case Table() | Record():
            return of == "map"


class Reader:
    """Reads one document. `problems` is empty if, and only if, nothing was REFUSED."""

    def __init__(self, problems: Problems, folder: str, source: str = "") -> None:
        self.problems = problems
        self.source = source
        self.values: dict[str, yaml.Node] = {}
        """By path: the node of what was read there last."""
        self.names: dict[str, yaml.Node] = {}
        """By path: the node of the key by which it was read there last."""
        self.overriding: set[int] = set()
        """Ids of the nodes that are laid over others: of keys that contradict each other, theirs is wrong."""
        self._refused: list[str] = []
        self._folder = folder
        self._read = 0

    def refuse(self, node: yaml.Node, path: str, text: str, at: int | None = None) -> object:
        """Note a problem at a node (at a character of its value); end the reading at too many."""
        line, column = place(node, self.source, at)
        self.problems.add(line, column, path, text)
        self._refused.append(path)
        if len(self.problems) >= PROBLEMS_MAXIMUM:
            self.problems.add(line, column, "file", "has more problems than these; mend these first")
            raise self.problems.error()
        return REFUSED

    def right(self, path: str) -> bool:
        """Whether everything at and below a path was read without a problem."""
        beginnings = (f"{path}.", f"{path}[")
        return path in self.values and not any(
            one == path or one.startswith(beginnings) for one in self._refused
        )

    def read(self, node: yaml.Node, shape: Shape, path: str) -> object:
        """The value, or REFUSED."""
        self.count(node)
        self.values[path] = node
        if not suits(shape, node):
            return self.refuse(node, path, f"{said(node)}, would be {shape.what}")
        match shape:
            case Either(options=options):
                return self.read(node, next(one for one in options if suits(one, node)), path)
            case Items():
                return self.items(node, shape, path)
            case Table():
                return self.table(node, shape, path)
            case Record():
                return self.record(node, shape, path)
            case Text():
                return self.text(node, shape, path)
            case Choice(words=words):
                near = difflib.get_close_matches(str(node.value), words, n=1)
                right = f'"{near[0]}"' if near else f"{', '.join(words[:-1])} or {words[-1]}"
                return (
                    node.value
                    if node.value in words
                    else self.refuse(node, path, f"{said(node)}, would be {right}")
                )
            case _:
                value = number(node, shape)
                return (
                    self.refuse(node, path, f"{said(node)}, would be {shape.what}")
                    if value is REFUSED
                    else value
                )

    def text(self, node: yaml.Node, shape: Text, path: str) -> object:
        """Text, checked and understood."""
        text = str(node.value)
        if UNREPRESENTABLE.search(text):
            return self.refuse(node, path, "holds a character that text cannot have, would be plain text")
        try:
            if re.fullmatch(shape.pattern, text):
                return shape.value(text)
        except ValueError as error:
            return self.refuse(node, path, str(error), getattr(error, "start", None))
        return self.refuse(node, path, shape.wrong or f"{said(node)}, would be {shape.what}")

    def items(self, node: yaml.Node, shape: Items, path: str) -> object:
        """A list, in its order."""
        values: list[object] = []
        for index, one in enumerate(node.value):
            value = self.read(one, shape.values, item(path, index))
            if shape.distinct and value is not REFUSED and value in values:
                self.refuse(one, item(path, index), "is in the list already; keep one of them")
            values.append(value)
        if len(values) < shape.at_least:
            return self.refuse(node, path, f"is empty, would be {shape.what}")
        return tuple(values)

    def table(self, node: yaml.Node, shape: Table, path: str) -> object:
        """A mapping with names of the developer's choice, in the order of the file."""
        values: dict[str, object] = {}
        for key, (name, value) in self.pairs(node, path).items():
            here = step(path, key)
            self.names[here] = name
            if not re.fullmatch(shape.names.pattern, key):
                self.refuse(name, here, f"is no name for this, would be {shape.names.what}")
            values[key] = self.read(value, shape.values, here)
        if len(values) < shape.at_least:
            return self.refuse(node, path, f"is empty, would be {shape.what}")
        if shape.at_most is not None and len(values) > shape.at_most:
            return self.refuse(node, path, f"has {len(values)} entries, would have at most {shape.at_most}")
        return values

    def record(self, node: yaml.Node, shape: Record, path: str) -> object:
        """A mapping with known keys."""
        before = len(self._refused)
        values: dict[str, object] = {}
        pairs = self.pairs(node, path)
        for key, (name, value) in pairs.items():
            here = step(path, key)
            self.names[here] = name
            if key in shape.keys:
                values[key] = self.read(value, shape.keys[key].shape, here)
            else:
                self.refuse(name, here, f"is an unknown key, would be {nearest(key, shape)}")
        for key, what in shape.required.items():
            if key not in pairs:
                self.refuse(node, step(path, key), f"is missing, would be {what}")
        for pair in (*shape.exclusive, *shape.one_of):
            if all(key in pairs for key in pair):
                one, other = pair if self.blamed(reversed(pair), pairs) == pair[1] else pair[::-1]
                self.refuse(
                    pairs[other][0], step(path, other), f"is beside `{one}`, would be only one of the two"
                )
        for one, other in shape.one_of:
            if one not in pairs and other not in pairs:
                self.refuse(node, path, f"has neither `{one}` nor `{other}`, would be {shape.what}")
        if len(self._refused) == before:
            for keys, what in (found for rule in shape.rules for found in rule(values, self._folder)):
                key = self.blamed(keys, pairs)
                self.refuse(pairs[key][1], step(path, key), what)
        return values

    def blamed(self, keys: Iterable[str], pairs: Pairs) -> str:
        """Of keys that contradict each other: the first that overrides something, else the first."""
        there = [key for key in keys if key in pairs]
        return next((key for key in there if id(pairs[key][1]) in self.overriding), there[0])

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
            self.refuse(
                node, "", f"has more than {READ_MAXIMUM} values with its aliases and worlds, would have fewer"
            )
            raise self.problems.error()


def number(node: yaml.Node, shape: Whole | Number | Plain) -> object:
    """What the scalar is, or REFUSED."""
    text, of = str(node.value), kind(node)
    match shape:
        case Whole(minimum=minimum, maximum=maximum):
            whole = int(text) if DECIMAL.fullmatch(text) else None
            wrong = whole is None or whole < minimum or (maximum is not None and whole > maximum)
            return REFUSED if wrong else whole
        case Number(minimum=low, maximum=high):
            amount = float(text) if FRACTION.fullmatch(text) else None
            return REFUSED if amount is None or not low <= amount <= high else amount
        case Plain():
            if of == "bool":
                return TRUTHS.get(text.lower(), REFUSED)
            if of in NUMBERS:
                if DECIMAL.fullmatch(text):
                    return int(text)
                return float(text) if FRACTION.fullmatch(text) else REFUSED
            return REFUSED if UNREPRESENTABLE.search(text) else text


def nearest(key: str, shape: Record) -> str:
    """The known key that was probably meant, or all of them."""
    known: Mapping[str, Key] = shape.keys
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"`{close[0]}`" if close else "one of " + ", ".join(known)
