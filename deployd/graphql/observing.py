"""How long operations take and what they come to, by root field: for metrics, and to name a request."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from graphql import FieldNode, GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension

from deployd.errors import DeploydError
from deployd.telemetry.metrics import OPERATIONS
from deployd.telemetry.subject import ASKING

__all__ = ["Observing", "outcome_of"]

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
                kind, fields = self._fields()
                outcome = outcome_of(self._errors())
                for field in fields:
                    OPERATIONS.observe(time.monotonic() - begun, kind, field, outcome)

    def on_execute(self) -> Iterator[None]:
        """The document is valid: its names are those of the schema."""
        self._began = True
        if (asking := ASKING.get()) is not None:
            kind, fields = self._fields()
            asking.name = f"{kind} {' '.join(fields)}"
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
                names = {
                    each.name.value for each in one.selection_set.selections if isinstance(each, FieldNode)
                }
                return one.operation.value, sorted(names) or ["fragment"]
        return _INVALID, [_INVALID]

    def _errors(self) -> Sequence[GraphQLError]:
        result = self.execution_context.result
        return getattr(result, "errors", None) or self.execution_context.pre_execution_errors or ()


def outcome_of(errors: Sequence[GraphQLError]) -> str:
    """`ok`, or the code of the first error."""
    if not errors:
        return "ok"
    cause = errors[0].original_error
    if isinstance(cause, DeploydError):
        return cause.code
    return "BAD_REQUEST" if cause is None else "INTERNAL"
