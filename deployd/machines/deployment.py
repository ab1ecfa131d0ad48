"""The deployment: one finite attempt to make a service serve a release."""

from __future__ import annotations

from datetime import timedelta

from deployd.machines.table import EXPIRE, Row, State, Table
from deployd.model.state import DeploymentState as S
from deployd.model.state import MachineKind

__all__ = ["DEPLOYMENT"]

_BEFORE_RELEASING = (
    S.QUEUED,
    S.FETCHING,
    S.PLANNING,
    S.AWAITING_APPROVAL,
    S.BUILDING,
    S.PROVISIONING,
)

DEPLOYMENT = Table(
    kind=MachineKind.DEPLOYMENT,
    states=(
        State(S.QUEUED, act="take_turn", deadline=timedelta(hours=24), recheck=timedelta(seconds=30)),
        State(S.FETCHING, act="fetch", deadline=timedelta(minutes=10), recheck=timedelta(seconds=5)),
        State(S.PLANNING, act="plan", deadline=timedelta(minutes=5), recheck=timedelta(seconds=5)),
        State(
            S.AWAITING_APPROVAL,
            act="await_approval",
            deadline=timedelta(days=7),
            recheck=timedelta(hours=1),
        ),
        State(S.BUILDING, act="build", deadline=timedelta(hours=1), recheck=timedelta(seconds=5)),
        State(S.PROVISIONING, act="provision", deadline=timedelta(hours=2), recheck=timedelta(seconds=15)),
        # Ten minutes, and the time of what runs before: see engine/tasks.py.
        State(S.RELEASING, act="release", deadline=timedelta(hours=24), recheck=timedelta(seconds=2)),
        # The longest rollout; each release says how much less it needs.
        State(S.VERIFYING, act="verify", deadline=timedelta(hours=24), recheck=timedelta(seconds=1)),
        State(S.SUCCEEDED, settled=True, final=True),
        State(S.ROLLING_BACK, act="roll_back", deadline=timedelta(minutes=10), recheck=timedelta(seconds=1)),
        State(S.ROLLED_BACK, settled=True, final=True),
        State(S.FAILED, settled=True, final=True),
        State(S.CANCELLING, act="undo", deadline=timedelta(minutes=10), recheck=timedelta(seconds=1)),
        State(S.CANCELLED, settled=True, final=True),
        State(S.SUPERSEDED, settled=True, final=True),
    ),
    rows=(
        Row("start", (S.QUEUED,), S.FETCHING),
        Row("fetched", (S.FETCHING,), S.PLANNING),
        Row("ask", (S.PLANNING,), S.AWAITING_APPROVAL),
        Row("approve", (S.AWAITING_APPROVAL,), S.BUILDING),
        Row("planned", (S.PLANNING,), S.BUILDING),
        Row("built", (S.BUILDING,), S.PROVISIONING),
        Row("provisioned", (S.PROVISIONING,), S.RELEASING),
        Row("released", (S.RELEASING,), S.VERIFYING),
        Row("verified", (S.VERIFYING,), S.SUCCEEDED),
        Row("fail", (*_BEFORE_RELEASING, S.ROLLING_BACK, S.CANCELLING), S.FAILED),
        Row("roll_back", (S.RELEASING, S.VERIFYING), S.ROLLING_BACK),
        Row("restored", (S.ROLLING_BACK,), S.ROLLED_BACK),
        Row("supersede", _BEFORE_RELEASING, S.SUPERSEDED),
        Row("cancel", (*_BEFORE_RELEASING, S.RELEASING, S.VERIFYING), S.CANCELLING),
        Row("undone", (S.CANCELLING,), S.CANCELLED),
        Row(EXPIRE, (*_BEFORE_RELEASING, S.ROLLING_BACK, S.CANCELLING), S.FAILED),
        Row(EXPIRE, (S.RELEASING, S.VERIFYING), S.ROLLING_BACK),
    ),
    limited=(S.BUILDING, S.RELEASING, S.VERIFYING, S.ROLLING_BACK, S.CANCELLING),
)
