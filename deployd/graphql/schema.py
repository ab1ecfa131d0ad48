"""The schema, put together, and its text: `python -m deployd.graphql.schema [--check FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

import deployd
from deployd.access.policy import Action, require
from deployd.errors import Forbidden, Unauthenticated
from deployd.graphql.access import AccessMutation, AccessQuery
from deployd.graphql.audit import AuditQuery
from deployd.graphql.changes import ChangeMutation, ChangeQuery
from deployd.graphql.changing import WorldMutation
from deployd.graphql.context import Context, Info
from deployd.graphql.deployments import DeploymentQuery
from deployd.graphql.doctor import DoctorQuery
from deployd.graphql.execution import Execution
from deployd.graphql.explanations import ExplanationQuery
from deployd.graphql.fields import resolved
from deployd.graphql.following import DeploymentSubscription, TransitionQuery, TransitionSubscription
from deployd.graphql.history import HistoryQuery
from deployd.graphql.limits import Limits
from deployd.graphql.logs import LogQuery, LogSubscription
from deployd.graphql.machines import MachineMutation
from deployd.graphql.maintenance import MaintenanceMutation, MaintenanceQuery
from deployd.graphql.masking import mask
from deployd.graphql.observing import Observing
from deployd.graphql.problem import explain
from deployd.graphql.releases import ReleaseQuery
from deployd.graphql.resources import ResourceMutation, ResourceQuery
from deployd.graphql.restraint import RestraintMutation
from deployd.graphql.scalars import CONFIG
from deployd.graphql.searching import SearchQuery
from deployd.graphql.secrets import SecretMutation, SecretQuery
from deployd.graphql.services import ServiceMutation, ServiceQuery
from deployd.graphql.worlds import WorldQuery

__all__ = ["SCHEMA", "main"]


@strawberry.type(description="What can be looked at.")
class Query(
    WorldQuery,
    ServiceQuery,
    ResourceQuery,
    DeploymentQuery,
    ChangeQuery,
    ReleaseQuery,
    TransitionQuery,
    HistoryQuery,
    SearchQuery,
    LogQuery,
    SecretQuery,
    AccessQuery,
    AuditQuery,
    DoctorQuery,
    MaintenanceQuery,
    ExplanationQuery,
):
    """All roots that ask."""

    @resolved(description="The server's version.")
    async def version(self, info: Info) -> str:
        require(info.context.actor, Action.VIEW, None)
        return deployd.__version__


@strawberry.type(description="What can be asked for.")
class Mutation(
    ChangeMutation,
    MachineMutation,
    ServiceMutation,
    RestraintMutation,
    ResourceMutation,
    WorldMutation,
    SecretMutation,
    AccessMutation,
    MaintenanceMutation,
):
    """All roots that change something."""


@strawberry.type(description="What can be followed.")
class Subscription(TransitionSubscription, DeploymentSubscription, LogSubscription):
    """All roots that go on telling."""


class _Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Every error passes here on its way out, over HTTP and websockets alike."""
        mask(None if execution_context is None else execution_context.query, errors)
        for error in errors:
            explain(error)
        if execution_context is not None:
            _record_refusals(execution_context, errors)


def _record_refusals(execution: ExecutionContext, errors: list[GraphQLError]) -> None:
    """Those of who only looks; mutations put theirs on record themselves."""
    context = execution.context
    for error in errors:
        cause = error.original_error
        if (
            isinstance(cause, Forbidden | Unauthenticated)
            and isinstance(context, Context)
            and error.path
            and execution.graphql_document is not None
            and execution.operation_type is not OperationType.MUTATION
        ):
            actor = "nobody" if context.actor is None else context.actor.name
            context.api.auditing.refused(actor, str(error.path[0]), None, cause.code, cause.message)


SCHEMA = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    extensions=[Observing, Limits],
    execution_context_class=Execution,
    config=CONFIG,
)


def main(arguments: Sequence[str]) -> int:
    """Print the schema; with `--check FILE` 1 when the file says something else."""
    text = SCHEMA.as_str() + "\n"
    match arguments:
        case []:
            sys.stdout.write(text)
            return 0
        case ["--check", name]:
            path = Path(name)
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return 0
            sys.stderr.write(f"{name} is not the schema: python -m deployd.graphql.schema > {name}\n")
            return 1
        case _:
            sys.stderr.write("usage: python -m deployd.graphql.schema [--check FILE]\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
