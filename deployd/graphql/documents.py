"""Queries and subscriptions that were found to be valid: their text need not be parsed and checked again.

Only those of a moderate length are kept, by their whole text. Mutations are not: their text may hold a
secret.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from graphql import DocumentNode, OperationDefinitionNode, OperationType

__all__ = ["Documents"]

_COSTS = 64
"""Kept at most for one document."""

_LONGEST = 8192
"""Characters; the size of what is made of them is in proportion."""


class Documents:
    """Those that were asked last; one for a schema."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._known: OrderedDict[str, tuple[DocumentNode, dict[object, int]]] = OrderedDict()

    def get(self, text: str | None) -> DocumentNode | None:
        """The document of this text, if it is known to be valid."""
        if text is None or (found := self._known.get(text)) is None:
            return None
        self._known.move_to_end(text)
        return found[0]

    def cost(
        self,
        text: str | None,
        operation: str | None,
        variables: Mapping[str, object],
        count: Callable[[], int],
    ) -> int:
        """What the operation costs: as it was counted before for the same numbers, else by `count`."""
        if text is None or text not in self._known:
            return count()
        costs = self._known[text][1]
        # Of variables only numbers count (cost.py); of others, that they are there.
        numbers = ((name, one if isinstance(one, int | float) else None) for name, one in variables.items())
        key = operation, frozenset(numbers)
        if key not in costs:
            if len(costs) >= _COSTS:
                costs.clear()
            costs[key] = count()
        return costs[key]

    def add(self, text: str | None, document: DocumentNode) -> None:
        """A valid document: within all limits, and by the rules of graphql-core."""
        if text is None or len(text) > _LONGEST or not _only_asks(document):
            return
        self._known[text] = document, {}
        if len(self._known) > self._size:
            self._known.popitem(last=False)


def _only_asks(document: DocumentNode) -> bool:
    return all(
        one.operation is not OperationType.MUTATION
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode)
    )
