"""How operations are executed: queries column by column; all else, and what is a surprise, by graphql-core.

Invariant: whoever asks cannot tell which of the two answered. A compiled answer has no errors; as soon as
there could be one, graphql-core answers the whole query anew, and its errors are the ones that are told.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

from graphql import ExecutionResult, OperationType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from deployd.graphql.columns import Selection
from deployd.graphql.compiling import Plans
from deployd.graphql.context import Context

__all__ = ["Execution"]

_log = logging.getLogger(__name__)


class Execution(StrawberryGraphQLCoreExecutionContext):
    """One for each operation; `plans` is of all of them."""

    plans = Plans()

    def execute_operation(self, serially: bool | None = None) -> Any:
        """The answer, or what comes to it."""
        if self.operation.operation is not OperationType.QUERY or self._is_followed():
            return super().execute_operation(serially)
        if isinstance(self.context_value, Context):  # the schema alone can be asked without one
            self.context_value = self.context_value.briefly()
        selection = self.plans.of(self)
        if selection is None:
            return super().execute_operation(serially)
        return self._answer(selection)

    def _is_followed(self) -> bool:
        """Whether somebody looks at every single field, or may end it in the middle."""
        middlewares = self.middleware_manager is not None and self.middleware_manager.middlewares
        return bool(middlewares) or self.abort_signal is not None or self.hooks is not None

    async def _answer(self, selection: Selection) -> ExecutionResult:
        try:
            (data,) = await selection.rows(self, [self.root_value])
        except Exception as error:
            _log.debug("graphql-core answers: %s", repr(error))  # no log record keeps its frames
        else:
            return ExecutionResult(data, None)
        result = super().execute_operation()
        found = await result if inspect.isawaitable(result) else result
        assert isinstance(found, ExecutionResult), "nothing here is incremental"
        return found
