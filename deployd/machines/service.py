"""The service: long-lived, watches over what it serves, and gives its deployments their turn."""

from __future__ import annotations

from datetime import timedelta

from deployd.machines.table import EXPIRE, Row, State, Table
from deployd.model.state import MachineKind
from deployd.model.state import ServiceState as S

__all__ = ["SERVICE"]

SERVICE = Table(
    kind=MachineKind.SERVICE,
    states=(
        State(S.IDLE, act="await_work", recheck=timedelta(minutes=5), settled=True),
        State(S.DEPLOYING, act="follow_deployment", recheck=timedelta(seconds=15)),
        State(S.SERVING, act="watch_over", recheck=timedelta(seconds=5), settled=True),
        State(S.SUSPENDING, act="stop", deadline=timedelta(minutes=5), recheck=timedelta(seconds=1)),
        State(S.SUSPENDED, act="await_work", recheck=timedelta(minutes=5), settled=True),
        State(S.RETIRING, act="stop", deadline=timedelta(minutes=5), recheck=timedelta(seconds=1)),
        State(S.RETIRED, settled=True, final=True),
    ),
    rows=(
        Row("deploy", (S.IDLE, S.SERVING, S.SUSPENDED), S.DEPLOYING),
        Row("serve", (S.DEPLOYING,), S.SERVING),
        Row("withdraw", (S.DEPLOYING, S.SERVING), S.IDLE),
        Row("pause", (S.DEPLOYING,), S.SUSPENDED),  # a deployment of a suspended service came to nothing
        Row("report", (S.SERVING,), S.SERVING),  # its health changed
        Row("suspend", (S.IDLE, S.SERVING), S.SUSPENDING),
        Row("stopped", (S.SUSPENDING,), S.SUSPENDED),
        Row("resume", (S.SUSPENDED, S.SUSPENDING), S.SERVING),
        Row("retire", (S.IDLE, S.SERVING, S.SUSPENDING, S.SUSPENDED), S.RETIRING),
        Row("gone", (S.RETIRING,), S.RETIRED),
        Row("cancel", (S.SUSPENDING, S.RETIRING), S.SERVING),
        Row(EXPIRE, (S.SUSPENDING, S.RETIRING), S.SERVING),
    ),
    # Watching over what serves takes no turn: what crashed would lie there while others deploy.
    limited=(S.SUSPENDING, S.RETIRING),
)
