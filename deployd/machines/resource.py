"""The resource: a piece of infrastructure."""

from __future__ import annotations

from datetime import timedelta

from deployd.machines.table import EXPIRE, Row, State, Table
from deployd.model.state import MachineKind
from deployd.model.state import ResourceState as S

__all__ = ["RESOURCE"]

RESOURCE = Table(
    kind=MachineKind.RESOURCE,
    states=(
        State(S.REQUESTED, act="accept", deadline=timedelta(hours=1), recheck=timedelta(seconds=5)),
        State(S.CREATING, act="apply", deadline=timedelta(hours=2), recheck=timedelta(seconds=10)),
        State(S.READY, act="watch_over", recheck=timedelta(minutes=1), settled=True),
        State(S.UPDATING, act="apply", deadline=timedelta(hours=2), recheck=timedelta(seconds=10)),
        State(S.DELETING, act="destroy", deadline=timedelta(hours=2), recheck=timedelta(seconds=10)),
        State(S.DELETED, settled=True, final=True),
        State(S.FAILED, settled=True),
    ),
    rows=(
        Row("create", (S.REQUESTED,), S.CREATING),
        Row("created", (S.CREATING,), S.READY),
        Row("update", (S.READY, S.FAILED), S.UPDATING),
        Row("updated", (S.UPDATING,), S.READY),
        Row("report", (S.READY,), S.READY),  # its health changed
        Row("retry", (S.FAILED,), S.CREATING),
        Row("delete", (S.REQUESTED, S.CREATING, S.READY, S.UPDATING, S.FAILED), S.DELETING),
        Row("deleted", (S.DELETING,), S.DELETED),
        Row("fail", (S.REQUESTED, S.CREATING, S.UPDATING, S.DELETING), S.FAILED),
        Row("cancel", (S.REQUESTED, S.CREATING, S.UPDATING, S.DELETING), S.FAILED),
        Row(EXPIRE, (S.REQUESTED, S.CREATING, S.UPDATING, S.DELETING), S.FAILED),
    ),
    limited=(S.CREATING, S.UPDATING, S.DELETING),
)
