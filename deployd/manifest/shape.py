"""What a value in the file may be, as data that the reader, the JSON Schema and the reference page follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

__all__ = [
    "EXTENSION",
    "Choice",
    "Either",
    "Items",
    "Key",
    "Number",
    "Plain",
    "Record",
    "Rule",
    "Shape",
    "Table",
    "Text",
    "Whole",
]

EXTENSION = "x-"
"""Keys that begin with it are other programs' and ignored, at every level."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text that matches `pattern` as a whole."""

    what: str
    """For people, after "would be": `a path such as /healthz`."""
    pattern: str
    """Understood alike by Python and ECMAScript; without `^` and `$`."""
    value: Callable[[str], object] = str
    """What it means. Raises ValueError, saying what is wrong and what would be right; where the error has a
    `start`, that is the character of the text (from 0) at which it is wrong."""
    scalar: bool = False
    """Numbers and truth values count too, as the text they were written with."""
    wrong: str = ""
    """The message for text that does not match, where it must not repeat the text: it may be a password."""
    published: str = ""
    """The JSON Schema's pattern, where `value` says more exactly what is wrong than `pattern` could."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    what: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, bounds included."""

    what: str
    minimum: int
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number, bounds included."""

    what: str
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Plain:
    """Text, a number or a truth value, as itself: what it has to be is known elsewhere."""

    what: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    what: str
    values: Shape
    at_least: int = 0
    distinct: bool = False
    """The same value twice would hide that one of them is a mistake."""


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping whose keys the developer chooses."""

    what: str
    names: Text
    values: Shape
    at_least: int = 0
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A known key of a mapping, and what people have to know of it."""

    shape: Shape
    about: str
    """Whole sentences in Markdown."""
    default: str = ""
    """What holds without it, in words; empty: nothing."""
    example: str = ""
    """Lines of YAML that show it, with what else they need to be right."""


Rule = Callable[[Mapping[str, object], str], Iterable[tuple[tuple[str, ...], str]]]
"""Looks at the values of a record that is otherwise right, in a file that lies in this folder of the tree;
answers keys (the one to blame first, then those that it does not go with) and what is wrong."""


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping whose keys are known."""

    what: str
    keys: Mapping[str, Key]
    required: Mapping[str, str] = field(default_factory=dict)
    """Key to what to write."""
    exclusive: tuple[tuple[str, str], ...] = ()
    """Pairs of which at most one may be there."""
    one_of: tuple[tuple[str, str], ...] = ()
    """Pairs of which exactly one has to be there."""
    rules: tuple[Rule, ...] = ()
    title: str = ""
    """The name by which the JSON Schema refers to it, where it occurs more than once."""


@dataclass(frozen=True, slots=True)
class Either:
    """The first of these that suits the kind of the value."""

    what: str
    options: tuple[Shape, ...]
    short: str = ""
    """Where a plain value is short for a mapping: the mapping's key that it stands for."""


Shape = Text | Choice | Whole | Number | Plain | Items | Table | Record | Either
