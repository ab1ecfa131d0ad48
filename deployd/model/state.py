"""The states of each kind of machine, and the questions that are kept apart from them."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "ChangeState",
    "DeploymentState",
    "Health",
    "MachineKind",
    "Ownership",
    "ResourceState",
    "ServiceState",
]


class MachineKind(StrEnum):
    """What a machine is a machine of."""

    SERVICE = "service"
    DEPLOYMENT = "deployment"
    RESOURCE = "resource"
    CHANGE = "change"


class ServiceState(StrEnum):
    """Where a service stands; a condition, not an action."""

    IDLE = "idle"
    DEPLOYING = "deploying"
    SERVING = "serving"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    RETIRING = "retiring"
    RETIRED = "retired"


class DeploymentState(StrEnum):
    """Where one attempt stands."""

    QUEUED = "queued"
    FETCHING = "fetching"
    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    BUILDING = "building"
    PROVISIONING = "provisioning"
    RELEASING = "releasing"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class ResourceState(StrEnum):
    """Where a piece of infrastructure stands."""

    REQUESTED = "requested"
    CREATING = "creating"
    READY = "ready"
    UPDATING = "updating"
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"


class ChangeState(StrEnum):
    """Where one request stands."""

    RECEIVED = "received"
    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    APPLYING = "applying"
    PLANNED = "planned"
    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Health(StrEnum):
    """How well something does, whatever its state."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


class Ownership(StrEnum):
    """Who looks after a resource."""

    MANAGED = "managed"
    OBSERVED = "observed"
    ORPHANED = "orphaned"
