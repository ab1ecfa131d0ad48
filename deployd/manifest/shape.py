"""What a value in the file may be, as data: the reader and the JSON Schema both follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Either", "Later", "Number", "Record", "Rule", "Shape", "Table", "Text", "Whole"]


@dataclass(frozen=True, slots=True)
class Text:
    """Text that matches `pattern` as a whole."""

    what: str
    """For people, after "would be": `a path such as /healthz`."""
    pattern: str
    """Understood alike by Python and ECMAScript; without `^` and `$`."""
    value: Callable[[str], object] = str
    """What it means. Raises ValueError, saying what is wrong and what would be right."""
    scalar: bool = False
    """Numbers and truth values count too, as the text they were written with."""
    wrong: str = ""
    """The message for text that does not match, where it must not repeat the text: it may be a password."""


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
class Later:
    """A mapping that deployd will understand some day: refused by name."""

    what: str


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping whose keys the developer chooses."""

    what: str
    names: Text
    values: Shape
    at_least: int = 0


Rule = Callable[[Mapping[str, object], str], Iterable[tuple[str, str]]]
"""Looks at the values of a record that is otherwise right, in a file that lies in this folder of the tree;
answers keys and what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping whose keys are known."""

    what: str
    keys: Mapping[str, Shape]
    required: Mapping[str, str] = field(default_factory=dict)
    """Key to what to write."""
    later: tuple[str, ...] = ()
    """Keys that deployd will understand some day: refused by name."""
    exclusive: tuple[tuple[str, str], ...] = ()
    """Pairs of which at most one may be there."""
    one_of: tuple[tuple[str, str], ...] = ()
    """Pairs of which exactly one has to be there."""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """The first of these that suits the kind of the value."""

    what: str
    options: tuple[Shape, ...]


Shape = Text | Whole | Number | Later | Table | Record | Either
