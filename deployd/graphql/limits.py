"""How large a query may be: its tokens, its depth and its aliases.

Fragments are measured once each, so that measuring takes time in proportion to the document, however
often they are spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)
from strawberry.extensions import SchemaExtension

__all__ = ["Limits"]

DEPTH = 12
ALIASES = 30
TOKENS = 2000


class Limits(SchemaExtension):
    """Applies them; one object for each operation."""

    def on_operation(self) -> Iterator[None]:
        """Before the document is parsed."""
        self.execution_context.parse_options["max_tokens"] = TOKENS
        self.execution_context.validation_rules = (*self.execution_context.validation_rules, _Measure)
        yield


class _Size(NamedTuple):
    depth: int
    """Levels of fields that have fields themselves."""
    aliases: int


class _Measure(ValidationRule):
    """Refuses operations that are too deep or have too many aliases."""

    context: ValidationContext

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments = {
            one.name.value: one
            for one in context.document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self._sizes: dict[str, _Size] = {}
        for one in context.document.definitions:
            if isinstance(one, OperationDefinitionNode):
                size = self._measure(one.selection_set)
                if size.depth > DEPTH:
                    context.report_error(GraphQLError(f"the query is deeper than {DEPTH} levels", one))
                if size.aliases > ALIASES:
                    context.report_error(GraphQLError(f"the query has more than {ALIASES} aliases", one))

    def _measure(self, selections: SelectionSetNode) -> _Size:
        depth, aliases = 0, 0
        for node in selections.selections:
            match node:
                case FieldNode(selection_set=inner, alias=alias, name=name):
                    aliases += alias is not None
                    if inner is None or name.value.startswith("__"):  # introspection has a rule of its own
                        continue
                    size = self._measure(inner)
                    size = _Size(size.depth + 1, size.aliases)
                case InlineFragmentNode(selection_set=inner):
                    size = self._measure(inner)
                case FragmentSpreadNode(name=name):
                    size = self._fragment(name.value)
                case _:
                    continue
            depth = max(depth, size.depth)
            aliases += size.aliases
        return _Size(depth, aliases)

    def _fragment(self, name: str) -> _Size:
        if name not in self._sizes:
            self._sizes[name] = _Size(0, 0)  # of one that is unknown, or spreads itself: another rule says so
            if name in self._fragments:
                self._sizes[name] = self._measure(self._fragments[name].selection_set)
        return self._sizes[name]
