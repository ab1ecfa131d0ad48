"""Scalars and enums of the schema; the enums are the model's own, with a word on each value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeVar

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.enum import StrawberryEnumDefinition

from deployd.access.policy import Action
from deployd.engine.explaining import Verdict
from deployd.model.actor import Role
from deployd.model.audit import Outcome
from deployd.model.duty import DutyOutcome
from deployd.model.finding import Level
from deployd.model.plan import PlanAction, PlanKind
from deployd.model.reason import Fault, SubjectKind
from deployd.model.state import (
    ChangeState,
    DeploymentState,
    Health,
    MachineKind,
    Ownership,
    ResourceState,
    ServiceState,
)

__all__ = [
    "CONFIG",
    "Action",
    "ChangeState",
    "CursorText",
    "DeploymentState",
    "DutyOutcome",
    "Fault",
    "Health",
    "Long",
    "MachineKind",
    "Outcome",
    "Ownership",
    "PlanAction",
    "PlanKind",
    "ResourceState",
    "Role",
    "ServiceState",
    "SubjectKind",
    "Verdict",
]

E = TypeVar("E", bound=StrEnum)

CursorText = NewType("CursorText", str)
Long = NewType("Long", int)


def _parse_long(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{value!r} is no whole number of 64 bits")
    return value


CONFIG = StrawberryConfig(
    scalar_map={
        CursorText: strawberry.scalar(
            name="Cursor",
            description="Where a reader stands: opaque. Keep it, and send it to read on from there.",
            serialize=str,
            parse_value=str,
        ),
        Long: strawberry.scalar(
            name="Long",
            description="A whole number of up to 64 bits with its sign, as a plain number of JSON."
            " Where numbers"
            " are doubles (JavaScript), those beyond 2^53 need a reader that keeps them whole.",
            serialize=int,
            parse_value=_parse_long,
        ),
        datetime: strawberry.scalar(
            name="DateTime",
            description="A moment in ISO 8601, with its offset from UTC: 2026-01-31T12:00:00.123456+00:00.",
            serialize=datetime.isoformat,
            parse_value=datetime.fromisoformat,
        ),
    }
)


def _describe(enum: type[E], description: str, values: Mapping[E, str]) -> type[E]:
    """The model's enum as one of the schema. KeyError where a value is not described."""
    strawberry.enum(enum, description=description)
    definition = enum.__dict__["__strawberry_definition__"]
    assert isinstance(definition, StrawberryEnumDefinition)
    for value in definition.values:
        value.description = values[enum[value.name]]
    return enum


_describe(
    SubjectKind,
    "What a reason is about.",
    {
        SubjectKind.WORLD: "A world, by its name.",
        SubjectKind.SERVICE: "A service, by its name.",
        SubjectKind.DEPLOYMENT: "A deployment, by its id.",
        SubjectKind.CHANGE: "A change, by its id.",
        SubjectKind.RESOURCE: "A resource, by its name.",
        SubjectKind.RUN: "A run of a service with a schedule, by the service's name.",
    },
)

_describe(
    Verdict,
    "How something is, in a word.",
    {
        Verdict.WELL: "As it should be.",
        Verdict.WORKING: "On its way, or waiting.",
        Verdict.UNWELL: "It failed, or is not as it should be.",
    },
)

_describe(
    MachineKind,
    "What a machine is a machine of.",
    {
        MachineKind.SERVICE: "A unit of software in a world.",
        MachineKind.DEPLOYMENT: "One attempt to make a service serve a release.",
        MachineKind.RESOURCE: "A piece of infrastructure.",
        MachineKind.CHANGE: "One request, with the deployments that it makes.",
    },
)
_describe(
    ServiceState,
    "Where a service stands.",
    {
        ServiceState.IDLE: "It serves nothing, and nothing works on it.",
        ServiceState.DEPLOYING: "A deployment has its turn.",
        ServiceState.SERVING: "It serves a release and is watched over.",
        ServiceState.SUSPENDING: "It is being stopped, to stay so.",
        ServiceState.SUSPENDED: "It is stopped until somebody resumes it or deploys.",
        ServiceState.RETIRING: "It is being ended for good.",
        ServiceState.RETIRED: "It has ended. Its name is free again; its history is kept.",
    },
)
_describe(
    DeploymentState,
    "Where one attempt stands.",
    {
        DeploymentState.QUEUED: "It waits for its service's turn.",
        DeploymentState.FETCHING: "Its source is being fetched.",
        DeploymentState.PLANNING: "It is found out what it would do, and whether it can.",
        DeploymentState.AWAITING_APPROVAL: "Somebody has to approve exactly this plan.",
        DeploymentState.BUILDING: "Its source is being built.",
        DeploymentState.PROVISIONING: "What it needs is being created.",
        DeploymentState.RELEASING: "The new release is being started.",
        DeploymentState.VERIFYING: "The new release has to become healthy.",
        DeploymentState.SUCCEEDED: "The service serves its release.",
        DeploymentState.ROLLING_BACK: "The release before is being restored.",
        DeploymentState.ROLLED_BACK: "It failed, and the release before serves again.",
        DeploymentState.FAILED: "It failed.",
        DeploymentState.CANCELLING: "What it did is being undone, as somebody asked.",
        DeploymentState.CANCELLED: "Somebody cancelled it.",
        DeploymentState.SUPERSEDED: "A newer one took its place before it released anything.",
    },
)
_describe(
    ChangeState,
    "Where one request stands.",
    {
        ChangeState.RECEIVED: "It is stored, and nothing else yet.",
        ChangeState.PLANNING: "It is found out which services it deploys.",
        ChangeState.AWAITING_APPROVAL: "Somebody has to approve exactly this plan.",
        ChangeState.APPLYING: "Its deployments work.",
        ChangeState.PLANNED: "It was to plan only: it has its plan, and did nothing.",
        ChangeState.DONE: "All its deployments succeeded.",
        ChangeState.PARTLY: "Some of its deployments succeeded.",
        ChangeState.FAILED: "None of its deployments succeeded, or it came to none.",
        ChangeState.CANCELLED: "Somebody cancelled it.",
    },
)
_describe(
    ResourceState,
    "Where a piece of infrastructure stands.",
    {
        ResourceState.REQUESTED: "Somebody asked for it.",
        ResourceState.CREATING: "It is being made.",
        ResourceState.READY: "It is there and watched over.",
        ResourceState.UPDATING: "It is being changed.",
        ResourceState.DELETING: "It is being ended, with its data.",
        ResourceState.DELETED: "It has ended. Its name is free again.",
        ResourceState.FAILED: "It could not be made, changed or ended.",
    },
)
_describe(
    Ownership,
    "Who looks after a resource.",
    {
        Ownership.MANAGED: "The services that have it, through deployd.",
        Ownership.OBSERVED: "Somebody else; deployd only looks.",
        Ownership.ORPHANED: "Nobody: no service has it any more. Its data is kept until somebody deletes it.",
    },
)
_describe(
    Health,
    "How well something does, whatever its state.",
    {
        Health.HEALTHY: "It does what it should.",
        Health.PROGRESSING: "It is on its way there.",
        Health.DEGRADED: "Something is wrong with it.",
        Health.SUSPENDED: "It is stopped because somebody wants it so.",
        Health.MISSING: "It is not there.",
        Health.UNKNOWN: "Nobody could look.",
    },
)
_describe(
    Level,
    "How bad something is.",
    {
        Level.OK: "It is well.",
        Level.WARNING: "It works, and may not for long.",
        Level.WRONG: "It does not work.",
    },
)
_describe(
    Fault,
    "Who said no.",
    {
        Fault.FAILED: "The work itself: what was deployed is at fault.",
        Fault.ERRORED: "The machinery that should have done it.",
    },
)

_describe(
    Role,
    "What an actor may do, each more than the one before.",
    {
        Role.VIEWER: "Look.",
        Role.DEVELOPER: "Deploy, and steer what was deployed.",
        Role.OPERATOR: "Approve, retire, and look after worlds and resources.",
        Role.ADMIN: "Everything: tokens, and the server itself.",
    },
)
_describe(
    Outcome,
    "What a request came to.",
    {
        Outcome.ASKED: "It is under way; or the server ended in the middle of it.",
        Outcome.DONE: "It was carried out.",
        Outcome.REFUSED: "The request was wrong, or not permitted.",
        Outcome.ERRORED: "The machinery failed.",
    },
)
_describe(
    Action,
    "What can be done.",
    {
        Action.VIEW: "Look.",
        Action.DEPLOY: "Deploy a source.",
        Action.PLAN: "See what deploying would do.",
        Action.CANCEL: "Cancel what is under way.",
        Action.RETRY: "Try again what failed.",
        Action.ROLL_BACK: "Go back to a release.",
        Action.HOLD: "Keep a service, or keep it from a release.",
        Action.APPROVE: "Approve a plan.",
        Action.SUSPEND: "Stop a service.",
        Action.RESUME: "Let a service go on.",
        Action.RETIRE: "End a service for good.",
        Action.RUN: "Run a service that has a schedule.",
        Action.SCALE: "Choose the number of copies of a service.",
        Action.CREATE_WORLD: "Make a world.",
        Action.UPDATE_WORLD: "Change what a world can do.",
        Action.SET_GATES: "Set a world's gates.",
        Action.RETIRE_WORLD: "End a world.",
        Action.CREATE_RESOURCE: "Make a resource by hand.",
        Action.UPDATE_RESOURCE: "Change a resource by hand.",
        Action.ADOPT_RESOURCE: "Take a resource back that nobody has.",
        Action.DELETE_RESOURCE: "Delete a resource with its data.",
        Action.SET_SECRET: "Set a secret.",
        Action.UNSET_SECRET: "Forget a secret.",
        Action.LIST_SECRETS: "See the names of secrets.",
        Action.MANAGE_TOKENS: "Make, see and revoke tokens.",
        Action.READ_AUDIT: "Read the audit log.",
        Action.SEE_METRICS: "See the server's metrics.",
        Action.DIAGNOSE: "See what an installation lacks.",
        Action.MAINTAIN: "Have old things removed now.",
        Action.STOP_SERVER: "Stop the server.",
    },
)
_describe(
    DutyOutcome,
    "What a run of a duty came to.",
    {
        DutyOutcome.DONE: "It is done.",
        DutyOutcome.UNFINISHED: "It had no time for all of it, or somebody was in the way; it goes on soon.",
        DutyOutcome.FAILED: "It could not be done, as the summary says.",
    },
)
_describe(
    PlanKind,
    "What an item of a plan is about.",
    {
        PlanKind.SERVICE: "A service of the manifest, or one that runs from the same source.",
        PlanKind.RESOURCE: "A piece of infrastructure.",
        PlanKind.ROUTE: "A host and path of an entrypoint.",
    },
)
_describe(
    PlanAction,
    "What a plan does with an item.",
    {
        PlanAction.CREATE: "It is not there, and will be.",
        PlanAction.CHANGE: "It is changed in place: no new process takes over, no data is lost.",
        PlanAction.REPLACE: "Another one takes its place, and its data is lost: waits for an approval.",
        PlanAction.ROLL: "A new release takes the place of the one that serves, by its rollout.",
        PlanAction.ORPHAN: "Nobody needs it any more; it is kept with its data.",
        PlanAction.DELETE: "It ends for good.",
        PlanAction.NOTHING: "It stays as it is.",
    },
)
