"""Which subscriptions can be told by one execution to everybody who asked for the same.

That is `transitions`, alone at the root: who has caught up with the world is told the same as everybody else,
whatever its cursor was. What has to be equal: the document, all variables but that of the cursor, and what
the caller may see (`Key`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    Node,
    OperationType,
    VariableNode,
    get_operation_ast,
    parse,
)

from deployd.graphql.limits import TOKENS
from deployd.model.actor import Actor, Role

__all__ = ["FIELD", "Key", "Shareable", "scope", "shareable"]

FIELD = "transitions"
_LONGEST = 8192  # characters of a document that is remembered

Scope = tuple[Role, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Key:
    """What is equal for all who share an execution; the scope too, so that nobody sees what others may."""

    query: str
    operation_name: str | None
    variables: bytes
    scope: Scope


@dataclass(frozen=True, slots=True)
class Shareable:
    """An operation that can be shared."""

    query: str
    operation_name: str | None
    cursor_variable: str | None
    """The variable that gives `after` and nothing else."""

    def key(self, variables: Mapping[str, Any] | None, actor: Actor) -> Key:
        """For these variables, asked by this caller."""
        given = {name: value for name, value in (variables or {}).items() if name != self.cursor_variable}
        return Key(self.query, self.operation_name, msgspec.json.encode(given, order="sorted"), scope(actor))


def scope(actor: Actor) -> Scope:
    """All that the policy goes by, but for the time at which a token expires."""
    return actor.role, actor.worlds


def shareable(query: str, operation_name: str | None) -> Shareable | None:
    """The operation, if it can be shared. None too for what is wrong: executing it says what."""
    if len(query) > _LONGEST or FIELD not in query:
        return None
    return _examine(query, operation_name)


@lru_cache(maxsize=256)
def _examine(query: str, operation_name: str | None) -> Shareable | None:
    try:
        document = parse(query, max_tokens=TOKENS, no_location=True)
    except (GraphQLError, RecursionError):
        return None
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.SUBSCRIPTION or operation.directives:
        return None
    match operation.selection_set.selections:
        case (FieldNode() as field,) if field.name.value == FIELD and not field.directives:
            return Shareable(query, operation_name, _cursor_variable(document, field))
    return None


def _cursor_variable(document: DocumentNode, field: FieldNode) -> str | None:
    for argument in field.arguments or ():
        match argument:
            case ArgumentNode(value=VariableNode(name=name)) if argument.name.value == "after":
                # Where it is declared, and here: anywhere else it would make what is told another one.
                used = sum(one.name.value == name.value for one in _variables(document))
                return name.value if used == 2 else None
    return None


def _variables(node: Node) -> Iterator[VariableNode]:
    if isinstance(node, VariableNode):
        yield node
        return
    for key in node.keys:
        value = getattr(node, key, None)
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, Node):
                yield from _variables(one)
