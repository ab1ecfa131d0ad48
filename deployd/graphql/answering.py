"""The short way to an answer: queries that were asked before, and can be answered column by column.

strawberry's way from a text to an answer has stations that a query known to be valid need not pass. Whatever
is not as expected (an error, above all) is not answered here: whoever asks goes the whole way then.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import DocumentNode, OperationDefinitionNode, OperationType
from graphql.execution.values import get_variable_values

from deployd.graphql.context import Context
from deployd.graphql.cost import LIMIT, cost_of
from deployd.graphql.execution import Execution
from deployd.graphql.limits import VARIABLES, Limits
from deployd.graphql.observing import answered
from deployd.graphql.schema import SCHEMA

__all__ = ["answer", "is_known"]

_log = logging.getLogger(__name__)
_SCHEMA = SCHEMA._schema  # noqa: SLF001 - strawberry offers no other way to graphql-core's
_MOST = 256


class _Known:
    """An operation of a document: an execution of it, of which each request has a copy with other values."""

    __slots__ = ("document", "execution", "operation")

    def __init__(self, document: DocumentNode, execution: Execution) -> None:
        self.document = document
        self.execution = execution
        self.operation: OperationDefinitionNode = execution.operation


_known: OrderedDict[tuple[str, str | None], _Known] = OrderedDict()


def is_known(text: str) -> bool:
    """Whether this was asked before, and was valid; and changes nothing."""
    return Limits.documents.get(text) is not None


async def answer(
    text: str, variables: Mapping[str, Any] | None, operation_name: str | None, context: Context
) -> dict[str, Any] | None:
    """The `data` of a known query; None: this is not for here."""
    begun = time.monotonic()
    given = dict(variables or {})
    if given and len(msgspec.json.encode(given)) > VARIABLES:
        return None
    known = _of(text, operation_name, given)
    if known is None:
        return None
    document, operation = known.document, known.operation
    cost = Limits.documents.cost(
        text, operation_name, given, lambda: cost_of(_SCHEMA, document, operation, given)
    )
    if cost > LIMIT:
        return None
    values = get_variable_values(_SCHEMA, operation.variable_definitions or (), given)
    if isinstance(values, list):
        return None  # errors
    execution = copy.copy(known.execution)
    execution.variable_values, execution.context_value = values, context.briefly()
    selection = Execution.plans.of(execution)
    if selection is None:
        return None
    try:
        (data,) = await selection.rows(execution, [None])
    except Exception as error:
        _log.debug("to be asked again: %s", repr(error))
        return None
    answered(operation, begun)
    return data


def _of(text: str, operation_name: str | None, variables: dict[str, Any]) -> _Known | None:
    document = Limits.documents.get(text)
    if document is None:
        return None
    key = text, operation_name
    known = _known.get(key)
    if known is None or known.document is not document:
        made = Execution.build(
            _SCHEMA, document, raw_variable_values=variables, operation_name=operation_name
        )
        if not isinstance(made, Execution) or made.operation.operation is not OperationType.QUERY:
            return None  # errors, or something to follow
        known = _known[key] = _Known(document, made)
        if len(_known) > _MOST:
            _known.popitem(last=False)
    return known
