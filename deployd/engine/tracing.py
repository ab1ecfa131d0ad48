"""Spans of changes, of their deployments, and of the states of both, from what was committed.

A span is told by the process that committed its end. Its beginning is read from the transitions then, so that
it does not matter which process had the machine before, or whether one died.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from deployd.engine.recording import Move
from deployd.errors import PostgresUnavailable
from deployd.machines import RUNNERS
from deployd.model.facts import ChangeFacts
from deployd.model.state import ChangeState, DeploymentState, MachineKind
from deployd.store import transitions
from deployd.store.database import Database
from deployd.telemetry.subject import WORLDS, name_of
from deployd.telemetry.tracing import Tracer, machine_key, state_key, trace_of

__all__ = ["Traces"]

_log = logging.getLogger(__name__)

_KEPT = 10_000  # moves that wait to be told; beyond that the oldest are lost
_BATCH = 500
_PAUSE = 1.0  # seconds, while there is no database
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BAD = frozenset(
    {ChangeState.FAILED, ChangeState.PARTLY, DeploymentState.FAILED, DeploymentState.ROLLED_BACK}
)


class Traces:
    """Start `run` as a task; hand `moved` to the committer. Costs nobody who works any time."""

    def __init__(self, db: Database, tracer: Tracer) -> None:
        self._db, self._tracer = db, tracer
        self._moves: deque[Move] = deque(maxlen=_KEPT)
        self._ready = asyncio.Event()

    def moved(self, moves: Sequence[Move]) -> None:
        """These were committed."""
        self._moves.extend(one for one in moves if trace_of(one.machine) is not None)
        if self._moves:
            self._ready.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            try:
                await self.tell()
            except PostgresUnavailable as error:
                _log.debug("traces wait: %s", error)
                await asyncio.sleep(_PAUSE)
                self._ready.set()

    async def tell(self) -> None:
        """Tell all that waits. Raises PostgresUnavailable; what was not told waits on."""
        while self._moves:
            moves = [self._moves[n] for n in range(min(_BATCH, len(self._moves)))]
            keys = [(one.machine.world_id, one.machine.id, one.seq) for one in moves]
            entered = await transitions.entered(self._db, keys)
            for move, at in zip(moves, entered, strict=True):
                self._tell(move, at or move.machine.created_at)
                self._moves.popleft()

    def _tell(self, move: Move, entered: datetime) -> None:
        machine = move.machine
        trace, name = trace_of(machine), name_of(machine)
        assert trace is not None
        attributes: dict[str, str | int] = {
            "deployd.world": WORLDS.get(machine.world_id, str(machine.world_id)),
            "deployd.machine": str(machine.id),
            "deployd.kind": machine.kind,
        }
        if name is not None:
            attributes["deployd.service"] = name
        bad = move.to_state in _BAD
        said = move.reason.summary if move.reason is not None else move.to_state
        self._tracer.span(
            machine.state,
            trace=trace,
            key=state_key(machine.id, machine.state),
            parent=machine_key(machine.id),
            start=_nanoseconds(entered),
            end=_nanoseconds(move.at),
            attributes={**attributes, "deployd.seq": move.seq, "deployd.to_state": move.to_state},
            error=said if bad else None,
        )
        if not RUNNERS[machine.kind].states[move.to_state].final:
            return
        parent = None if machine.change_id is None else machine_key(machine.change_id)
        self._tracer.span(
            "change" if machine.kind is MachineKind.CHANGE else f"deployment {name}",
            trace=trace,
            key=machine_key(machine.id),
            parent=None if machine.kind is MachineKind.CHANGE else parent,
            start=_nanoseconds(machine.created_at),
            end=_nanoseconds(move.at),
            attributes={**attributes, "deployd.state": move.to_state},
            error=said if bad else None,
            link=move.facts.traceparent if isinstance(move.facts, ChangeFacts) else None,
        )


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
