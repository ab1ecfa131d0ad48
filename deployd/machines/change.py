"""The change: one request with its plan, and the deployments that it makes."""

from __future__ import annotations

from datetime import timedelta

from deployd.machines.table import EXPIRE, Row, State, Table
from deployd.model.state import ChangeState as S
from deployd.model.state import MachineKind

__all__ = ["CHANGE"]

CHANGE = Table(
    kind=MachineKind.CHANGE,
    states=(
        State(S.RECEIVED, act="accept", deadline=timedelta(hours=1), recheck=timedelta(seconds=5)),
        State(S.PLANNING, act="plan", deadline=timedelta(minutes=15), recheck=timedelta(seconds=5)),
        State(
            S.AWAITING_APPROVAL,
            act="await_approval",
            deadline=timedelta(days=7),
            recheck=timedelta(hours=1),
        ),
        State(S.APPLYING, act="follow", deadline=timedelta(days=2), recheck=timedelta(seconds=30)),
        State(S.PLANNED, settled=True, final=True),
        State(S.DONE, settled=True, final=True),
        State(S.PARTLY, settled=True, final=True),
        State(S.FAILED, settled=True, final=True),
        State(S.CANCELLED, settled=True, final=True),
    ),
    rows=(
        Row("plan", (S.RECEIVED,), S.PLANNING),
        Row("ask", (S.PLANNING,), S.AWAITING_APPROVAL),
        Row("stop", (S.PLANNING,), S.PLANNED),  # a plan was all that was asked for
        Row("approve", (S.AWAITING_APPROVAL,), S.APPLYING),
        Row("apply", (S.PLANNING,), S.APPLYING),
        Row("finish", (S.APPLYING,), S.DONE),
        Row("finish_partly", (S.APPLYING,), S.PARTLY),
        Row("fail", (S.RECEIVED, S.PLANNING, S.AWAITING_APPROVAL, S.APPLYING), S.FAILED),
        Row("cancel", (S.RECEIVED, S.PLANNING, S.AWAITING_APPROVAL), S.CANCELLED),
        Row("cancelled", (S.APPLYING,), S.CANCELLED),  # once all its deployments are
        Row(EXPIRE, (S.RECEIVED, S.PLANNING, S.AWAITING_APPROVAL, S.APPLYING), S.FAILED),
    ),
)
