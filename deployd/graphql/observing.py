"""How long operations take and what they come to, by root field: for metrics, and to name a request."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from graphql import FieldNode, GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension

from deployd.errors import DeploydError
from deployd.telemetry.metrics import OPERATIONS
from deployd.telemetry.subject import ASKING

__all__ = ["Observing", "answered", "outcome_of"]

_INVALID = "invalid"
"""The field of what was refused before it began: names that callers choose are no labels."""


class Observing(SchemaExtension):
    """One object for each operation."""

    def on_operation(self) -> Iterator[None]:
        """From before the document is parsed until the answer is there."""
        begun = time.monotonic()
        self._began = False
        try:
            yield
        finally:
            leg = getattr(self.execution_context.context, "leg", None)
            if leg is not None:
                begun = leg.began
            if leg is None or leg.counted:
                _observe(*self._fields(), begun, outcome_of(self._errors()))

    def on_execute(self) -> Iterator[None]:
        """The document is valid: its names are those of the schema."""
        self._began = True
        _name(*self._fields())
        yield

    def _fields(self) -> tuple[str, list[str]]:
        document = self.execution_context.graphql_document
        if document is None or not self._began:
            return _INVALID, [_INVALID]
        wanted = self.execution_context.operation_name
        for one in document.definitions:
            if isinstance(one, OperationDefinitionNode) and (
                wanted is None or (one.name is not None and one.name.value == wanted)
            ):
                return _fields_of(one)
        return _INVALID, [_INVALID]

    def _errors(self) -> Sequence[GraphQLError]:
        result = self.execution_context.result
        return getattr(result, "errors", None) or self.execution_context.pre_execution_errors or ()


def answered(operation: OperationDefinitionNode, begun: float) -> None:
    """The same for one that did not pass here: begun then, by the monotonic clock, and come to an answer."""
    kind, fields = _fields_of(operation)
    _name(kind, fields)
    _observe(kind, fields, begun, "ok")


def _fields_of(operation: OperationDefinitionNode) -> tuple[str, list[str]]:
    """What kind of operation it is, and the names of its root fields."""
    names = {each.name.value for each in operation.selection_set.selections if isinstance(each, FieldNode)}
    return operation.operation.value, sorted(names) or ["fragment"]


def _observe(kind: str, fields: Sequence[str], begun: float, outcome: str) -> None:
    for field in fields:
        OPERATIONS.observe(time.monotonic() - begun, kind, field, outcome)


def _name(kind: str, fields: Sequence[str]) -> None:
    if (asking := ASKING.get()) is not None:
        asking.name = f"{kind} {' '.join(fields)}"


def outcome_of(errors: Sequence[GraphQLError]) -> str:
    """`ok`, or the code of the first error."""
    if not errors:
        return "ok"
    cause = errors[0].original_error
    if isinstance(cause, DeploydError):
        return cause.code
    return "BAD_REQUEST" if cause is None else "INTERNAL"
