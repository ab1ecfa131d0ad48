"""YAML nodes: of what kind they are, how people are told of them, and where in the text they are."""

from __future__ import annotations

import re
from typing import Final

import yaml

from deployd.manifest.problem import shown

__all__ = ["COLLECTIONS", "NUMBERS", "SCALARS", "TAG", "children", "kind", "place", "said"]

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

EXACT_MAXIMUM = 4096
"""Characters of a scalar within which a place is looked for: a longer line helps nobody, and costs time."""
PROPERTIES: Final = re.compile(r"(?:[&!]\S*[ \t]+)*")
"""An anchor and a tag, before the value itself."""
ESCAPES: Final = {"x": 4, "u": 6, "U": 10}
"""Characters that an escape takes in double quotes; any other takes two."""


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


def children(node: yaml.Node) -> list[yaml.Node]:
    """The nodes directly below."""
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def place(node: yaml.Node, source: str = "", at: int | None = None) -> tuple[int, int]:
    """Line and column of a node in the source, from 0; `at`: of this character of a scalar's value.

    What is not written plainly on one line (folded, over several lines) is as a whole where it begins.
    """
    mark, end = node.start_mark, node.end_mark
    if at is None or not isinstance(node, yaml.ScalarNode) or mark.line != end.line:
        return mark.line, mark.column
    written = source[mark.index : end.index]
    if len(written) > EXACT_MAXIMUM:
        return mark.line, mark.column
    before = PROPERTIES.match(written)
    start = before.end() if before else 0
    steps = lengths(written[start:], node.style)
    if steps is None or len(steps) != len(node.value):
        return mark.line, mark.column
    return mark.line, mark.column + start + (node.style in ("'", '"')) + sum(steps[:at])


def lengths(written: str, style: str | None) -> list[int] | None:
    """How many characters each character of the value takes as it is written; None: not told so easily."""
    if not style:  # plain
        return [1] * len(written)
    if style not in ("'", '"') or len(written) < 2:
        return None
    steps, index, inside = [], 0, written[1:-1]
    while index < len(inside):
        one = inside[index]
        if style == "'":
            steps.append(2 if one == "'" else 1)
        else:
            steps.append(ESCAPES.get(inside[index + 1 : index + 2], 2) if one == "\\" else 1)
        index += steps[-1]
    return steps
