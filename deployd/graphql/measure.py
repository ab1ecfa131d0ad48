"""The size of a document: its depth, aliases, directives and repetitions.

Fragments are measured once each, so that measuring takes time in proportion to the document, however
often they are spread. The document need not be valid: it is measured before graphql-core's rules see it,
some of which take time in proportion to the square of what is repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

__all__ = ["ALIASES", "DEPTH", "DIRECTIVES", "REPEATS", "too_large"]

DEPTH = 12
"""Levels of fields that have fields themselves."""
ALIASES = 30
"""Fields under another name, in the whole operation."""
DIRECTIVES = 30
"""`@include`, `@skip` and others, in the whole operation."""
REPEATS = 20
"""How often one selection may name the same field or fragment."""


class _Size:
    """Of a selection, with all below it."""

    __slots__ = ("aliases", "depth", "directives", "repeats")

    def __init__(self) -> None:
        self.depth = self.aliases = self.directives = self.repeats = 0

    def add(self, inner: _Size, levels: int = 0) -> None:
        """With what is below, `levels` deeper: the greatest of depths counts, and the sum of the others."""
        self.depth = max(self.depth, inner.depth + levels)
        self.aliases += inner.aliases
        self.directives += inner.directives
        self.repeats = max(self.repeats, inner.repeats)


def too_large(document: DocumentNode) -> Iterator[GraphQLError]:
    """What is too large about its operations. Raises RecursionError for one that is nested absurdly."""
    measure = _Measure(document)
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            size = measure.selection(one.selection_set)
            if size.depth > DEPTH:
                yield GraphQLError(f"the query is deeper than {DEPTH} levels", one)
            if size.aliases > ALIASES:
                yield GraphQLError(f"the query has more than {ALIASES} aliases", one)
            if size.directives + len(one.directives or ()) > DIRECTIVES:
                yield GraphQLError(f"the query has more than {DIRECTIVES} directives", one)
            if size.repeats > REPEATS:
                yield GraphQLError(f"the query names one field more than {REPEATS} times in one place", one)


class _Measure:
    """One for each document."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._sizes: dict[str, _Size] = {}

    def selection(self, selections: SelectionSetNode) -> _Size:
        """The size of what is selected."""
        size = _Size()
        named: Counter[str] = Counter()
        for node in selections.selections:
            size.directives += len(node.directives or ())
            match node:
                case FieldNode(selection_set=inner, alias=alias, name=name):
                    named[(alias or name).value] += 1
                    size.aliases += alias is not None
                    # Introspection has a rule of its own.
                    if inner is not None and not name.value.startswith("__"):
                        size.add(self.selection(inner), levels=1)
                case InlineFragmentNode(selection_set=inner):
                    named["... on"] += 1
                    size.add(self.selection(inner))
                case FragmentSpreadNode(name=name):
                    named[f"...{name.value}"] += 1
                    size.add(self._fragment(name.value))
        size.repeats = max(size.repeats, *named.values(), 0)
        return size

    def _fragment(self, name: str) -> _Size:
        if name not in self._sizes:
            self._sizes[name] = _Size()  # of one that is unknown, or spreads itself: another rule says so
            if name in self._fragments:
                self._sizes[name] = self.selection(self._fragments[name].selection_set)
        return self._sizes[name]
