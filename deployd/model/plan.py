"""What a change would do, item by item: the plan that people read, programs compare and approvals are for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PlanAction", "PlanField", "PlanItem", "PlanKind"]


class PlanKind(StrEnum):
    """What an item is about."""

    SERVICE = "service"
    RESOURCE = "resource"
    ROUTE = "route"


class PlanAction(StrEnum):
    """What is done with it."""

    CREATE = "create"
    CHANGE = "change"
    """In place: what is there stays, no new process takes over."""
    REPLACE = "replace"
    """Another object takes its place, and its data is lost: never without an approval."""
    ROLL = "roll"
    """A new release takes the place of the one that serves, by its rollout."""
    ORPHAN = "orphan"
    """Nobody needs it any more; it is kept with its data."""
    DELETE = "delete"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class PlanField:
    """One thing in which it will be otherwise. No field holds the value of a secret."""

    path: str
    """Such as `env.LOG_LEVEL` or `params.storage_gb`; `source` for the files that it is made of."""
    before: str | None = None
    after: str | None = None
    """As written in the manifest, references too. None: not there; both None: a secret that was set again."""


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One service, resource or route of a plan."""

    kind: PlanKind
    name: str
    """Of a route its host and path."""
    action: PlanAction
    fields: tuple[PlanField, ...] = ()
    why: str = ""
    """One sentence: why, or how."""
    approval: bool = False
    """It waits for an approval."""
    notes: tuple[str, ...] = ()
    """What its driver does otherwise than another would, without harm; how to go on with what is left."""

    @property
    def changes(self) -> bool:
        """Whether anything is done."""
        return self.action is not PlanAction.NOTHING
