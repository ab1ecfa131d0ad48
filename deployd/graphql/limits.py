"""How large an operation may be: tokens, depth, aliases, directives, repetitions, variables, and its cost.

In this order, and the first that is exceeded is told alone: each is cheap enough to be found out about
what the ones before it let through.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, get_operation_ast
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types import ExecutionContext

from deployd.graphql.cost import LIMIT, cost_of
from deployd.graphql.documents import Documents
from deployd.graphql.measure import too_large

__all__ = ["TOKENS", "VARIABLES", "Limits"]

TOKENS = 2000
"""Words and signs of a document."""
VARIABLES = 512 * 1024
"""Bytes of all variables as JSON: the longest secret (64 KiB) fits, whatever its letters."""


class Limits(SchemaExtension):
    """Applies them; one object for each operation."""

    documents = Documents()

    def on_operation(self) -> Iterator[None]:
        """Before the document is parsed."""
        context = self.execution_context
        context.parse_options["max_tokens"] = TOKENS
        if context.graphql_document is None:
            context.graphql_document = self.documents.get(context.query)
        yield

    def on_validate(self) -> Iterator[None]:
        """In place of strawberry's validation, which lets a RecursionError through to websockets' tasks."""
        context = self.execution_context
        assert context.graphql_document is not None, "it is parsed"
        try:
            context.pre_execution_errors = self._errors(context, context.graphql_document)
        except RecursionError as error:
            context.pre_execution_errors = [GraphQLError("nested too deeply", original_error=error)]
        yield

    def _errors(self, context: ExecutionContext, document: DocumentNode) -> list[GraphQLError]:
        known = self.documents.get(context.query) is document
        if not known and (errors := list(too_large(document))):
            return errors
        variables = context.variables or {}
        if variables and len(msgspec.json.encode(variables)) > VARIABLES:
            return [GraphQLError(f"the query has more than {VARIABLES} bytes of variables")]
        schema = context.schema._schema  # noqa: SLF001 - strawberry offers no other way to graphql-core's
        if not known:
            if errors := validate_document(schema, document, context.validation_rules):
                return errors
            self.documents.add(context.query, document)
        operation = get_operation_ast(document, context.operation_name)
        assert operation is not None, "strawberry has looked for it already"
        cost = self.documents.cost(
            context.query,
            context.operation_name,
            variables,
            lambda: cost_of(schema, document, operation, variables),
        )
        return [_too_costly(cost, operation)] if cost > LIMIT else []


def _too_costly(cost: int, operation: OperationDefinitionNode) -> GraphQLError:
    return GraphQLError(
        f"the query costs {cost}, and {LIMIT} is the most",
        operation,
        extensions={
            "code": "TOO_COSTLY",
            "cost": cost,
            "limit": LIMIT,
            "remedy": "Ask for less at once: a smaller `first`, or fewer lists within lists.",
        },
    )
