"""The two kinds of machine that are explored: small tables and acts with what the real ones do.

A job writes its intent (`start`), has a driver make its object, looks again after a tick whether it is there,
and ends; a cancel, or its deadline, has the driver take the object away. A parent gives birth to a job, and
follows it until it has settled: it looks again by itself only when it is poked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deployd.engine.birth import birth
from deployd.engine.outcome import Acts, Answers, Go, Outcome, Stay
from deployd.errors import LeaseLost
from deployd.machines import Row, Runner, State, Table
from deployd.machines.table import EXPIRE
from deployd.model.machine import Machine, Request
from deployd.model.state import ChangeState, MachineKind
from deployd.model.state import DeploymentState as S
from deployd.store import machines
from tests.model.tables import FACTS, TICK
from tests.model.values import FAR, Gate, uid

if TYPE_CHECKING:
    from tests.model.acting import Stage

SETTLED = (S.SUCCEEDED, S.CANCELLED, S.FAILED)
FINAL = frozenset(str(one) for one in (*SETTLED, ChangeState.DONE, ChangeState.FAILED))
_NEVER = FAR * TICK


def runners(deadline: int, gate: Gate | None = None) -> Mapping[MachineKind, Runner]:
    """The tables; a job has so many ticks for what it does, and takes a turn where the gate says so."""
    within = deadline * TICK
    job = Table(
        MachineKind.DEPLOYMENT,
        states=(
            State(S.QUEUED, act="start", deadline=_NEVER, recheck=TICK),
            State(S.RELEASING, act="release", deadline=within, recheck=TICK),
            State(S.CANCELLING, act="undo", deadline=within if gate else _NEVER, recheck=TICK),
            *(State(one, settled=True, final=True) for one in SETTLED),
        ),
        rows=(
            Row("start", (S.QUEUED,), S.RELEASING),
            Row("released", (S.RELEASING,), S.SUCCEEDED),
            Row("cancel", (S.QUEUED, S.RELEASING), S.CANCELLING),
            Row("undone", (S.CANCELLING,), S.CANCELLED),
            Row(EXPIRE, (S.QUEUED, S.RELEASING), S.CANCELLING),
            Row(EXPIRE, (S.CANCELLING,), S.FAILED),
        ),
        limited=() if gate is None else tuple(S(one) for one in sorted(gate.states)),
    )
    parent = Table(
        MachineKind.CHANGE,
        states=(
            State(ChangeState.RECEIVED, act="accept", deadline=_NEVER, recheck=TICK),
            State(ChangeState.APPLYING, act="follow", deadline=_NEVER, recheck=_NEVER),
            State(ChangeState.DONE, settled=True, final=True),
            State(ChangeState.FAILED, settled=True, final=True),
        ),
        rows=(
            Row("apply", (ChangeState.RECEIVED,), ChangeState.APPLYING),
            Row("finish", (ChangeState.APPLYING,), ChangeState.DONE),
            Row(EXPIRE, (ChangeState.RECEIVED, ChangeState.APPLYING), ChangeState.FAILED),
        ),
    )
    return {table.kind: Runner(table) for table in (job, parent)}


async def start(_: Any, __: Machine) -> Outcome:
    """Queued: the intent."""
    return Go("start")


async def release(stage: Stage, machine: Machine) -> Outcome:
    """Releasing: the object is made, or found; then it is looked at once more. A child has none."""
    if machine.id == uid("C"):
        return Go("released")
    return Go("released") if await called(stage, "make") == "done" else Stay(after=TICK)


async def undo(stage: Stage, _: Machine) -> Outcome:
    """Cancelling: the object is taken away."""
    await called(stage, "take away")
    return Go("undone")


async def accept(stage: Stage, machine: Machine) -> Outcome:
    """Received: the job is born with the step."""
    return Go(
        "apply",
        births=(birth(machine.world_id, uid("C"), FACTS[MachineKind.DEPLOYMENT], "deployd"),),
    )


async def follow(stage: Stage, machine: Machine) -> Outcome:
    """Applying: as changes follow their deployments."""
    waits = await machines.wait_for(stage.db, machine.world_id, uid("C"), machine.id, SETTLED)
    return Stay() if waits else Go("finish")


async def called(stage: Stage, what: str) -> str:
    """A driver's call: the look at the lease, then its effect, then its answer."""
    if not await stage.gate("begin", what):
        raise LeaseLost("silent for too long")
    said: str = await stage.gate("effect", what)
    await stage.gate("answer", what)
    return said


async def cancel(_: Any, machine: Machine, request: Request) -> Outcome:
    """A job's answer: cancel where the table allows it."""
    allowed = request.trigger == "cancel" and machine.state in (S.QUEUED, S.RELEASING)
    return Go("cancel") if allowed else Stay()


async def ignore(_: Any, __: Machine, ___: Request) -> Outcome:
    """A parent's answer."""
    return Stay()


ACTS: Acts = {
    (MachineKind.DEPLOYMENT, "start"): start,
    (MachineKind.DEPLOYMENT, "release"): release,
    (MachineKind.DEPLOYMENT, "undo"): undo,
    (MachineKind.CHANGE, "accept"): accept,
    (MachineKind.CHANGE, "follow"): follow,
}  # type: ignore[dict-item]
ANSWERS: Answers = {MachineKind.DEPLOYMENT: cancel, MachineKind.CHANGE: ignore}
