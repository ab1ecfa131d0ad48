"""What a world says of a service, laid over what the service says: as nodes, which keep their places."""

from __future__ import annotations

import yaml

from deployd.manifest.node import TAG, children, kind
from deployd.manifest.reader import Reader
from deployd.manifest.shape import Either, Record, Shape, Table

__all__ = ["layered"]


def layered(reader: Reader, base: yaml.Node, over: yaml.Node, shape: Shape) -> yaml.Node:
    """`over` laid over `base`, both read as right before: mappings merge key by key, all else replaces.

    Where a mapping is laid over a short form (`health: /healthz`), it is over the mapping that is meant.
    `reader` learns which nodes override.
    """
    mark(over, reader.overriding)
    return lay(reader, base, over, shape)


def mark(node: yaml.Node, ids: set[int]) -> None:
    """Add the ids of a node and of all below it, which may be aliased."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if id(one) not in ids:
            ids.add(id(one))
            waiting += children(one)


def lay(reader: Reader, base: yaml.Node, over: yaml.Node, shape: Shape) -> yaml.Node:
    """The node that is read in the place of both."""
    if kind(over) != "map":
        return over
    if isinstance(shape, Either):
        if kind(base) != "map" and shape.short:
            key = yaml.ScalarNode(f"{TAG}str", shape.short, base.start_mark, base.end_mark)
            base = mapping([(key, base)], base)
        shape = next(one for one in shape.options if isinstance(one, Record | Table))
    if kind(base) != "map" or not isinstance(shape, Record | Table):
        return over
    below, above = reader.pairs(base, ""), reader.pairs(over, "")
    merged = dict(below)
    for name, (key, value) in above.items():
        inner = shape.keys[name].shape if isinstance(shape, Record) else shape.values
        merged[name] = (key, lay(reader, below[name][1], value, inner) if name in below else value)
    node = mapping(list(merged.values()), over)
    reader.overriding.add(id(node))
    return node


def mapping(pairs: list[tuple[yaml.ScalarNode, yaml.Node]], place: yaml.Node) -> yaml.MappingNode:
    """A mapping that is where another node is."""
    return yaml.MappingNode(f"{TAG}map", list(pairs), place.start_mark, place.end_mark)
