"""Scalars and enums of the schema; the enums are the model's own, with a word on each value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeVar

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.enum import StrawberryEnumDefinition

from deployd.model.plan import PlanAction, PlanKind
from deployd.model.reason import Fault
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
    "ChangeState",
    "CursorText",
    "DeploymentState",
    "Fault",
    "Health",
    "MachineKind",
    "Ownership",
    "PlanAction",
    "PlanKind",
    "ResourceState",
    "ServiceState",
]

E = TypeVar("E", bound=StrEnum)

CursorText = NewType("CursorText", str)

CONFIG = StrawberryConfig(
    scalar_map={
        CursorText: strawberry.scalar(
            name="Cursor",
            description="Where a reader stands: opaque. Keep it, and send it to read on from there.",
            serialize=str,
            parse_value=str,
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
    Fault,
    "Who said no.",
    {
        Fault.FAILED: "The work itself: what was deployed is at fault.",
        Fault.ERRORED: "The machinery that should have done it.",
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
