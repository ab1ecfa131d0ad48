"""A deployd that dies where it is told to.

Ends with -9 if it died at the point, with 0 if there is no such point (the scenario came to its end first).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

from deployd.engine.acts import ACTS
from deployd.engine.context import Context
from deployd.engine.outcome import Act, Acts, Outcome
from deployd.machines import TABLES
from deployd.model.machine import Machine
from deployd.store import commit
from deployd.store.commit import Applied, Batch
from deployd.store.database import Database
from tests.chaos.scenarios import SCENARIOS
from tests.house import house
from tests.nursery import serve

armed = False


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """Drives a coroutine, and dies at the point where it gives up control for the nth time."""

    def __init__(self, act: Coroutine[Any, Any, Outcome], point: int) -> None:
        self.act, self.point = act, point

    def __await__(self) -> Generator[Any, Any, Outcome]:
        passed = 0
        sending: Any = None
        throwing: BaseException | None = None
        while True:
            if passed == self.point:
                die()
            try:
                yielded = self.act.send(sending) if throwing is None else self.act.throw(throwing)
            except StopIteration as end:
                if passed + 1 == self.point:
                    die()  # the act is done, nothing of it is committed
                outcome: Outcome = end.value
                return outcome
            passed += 1
            sending = throwing = None
            try:
                sending = yield yielded
            except BaseException as error:
                throwing = error


def deadly(kind: str, state: str, point: int, when: Callable[[Machine], bool]) -> Acts:
    """The acts, of which one dies at its point. Negative points are in the commit, not in the act."""

    def wrap(name: str, act: Act) -> Act:
        async def dying(context: Context, machine: Machine) -> Outcome:
            meant = (machine.kind, machine.state) == (kind, state) and when(machine)
            if armed and meant and point >= 0:
                return await Dying(act(context, machine), point)  # type: ignore[arg-type]
            return await act(context, machine)

        return dying

    acts = {state.act for state in TABLES[kind].states}  # type: ignore[index]
    return {key: wrap(key[1], act) if key[0] == kind and key[1] in acts else act for key, act in ACTS.items()}


def deadly_commit(kind: str, state: str, point: int, when: Callable[[Machine], bool]) -> None:
    """-1: die right before the commit of an outcome from that state; -2: right after, unanswered."""
    write = commit.write

    async def dying(connection: Any, batch: Batch) -> list[Applied | None]:
        found = [s.machine for s in batch.steps if (s.machine.kind, s.machine.state) == (kind, state)]
        meant = armed and any(when(one) for one in found)
        if meant and point == -1:
            die()
        applied = await write(connection, batch)
        if meant and point == -2:
            die()
        return applied

    commit.write = dying


async def trial(dsn: str, home: str, world: str, scenario: str, kind: str, state: str, point: int) -> None:
    global armed
    chosen = SCENARIOS[scenario]
    deadly_commit(kind, state, point, chosen.when)
    acts = deadly(kind, state, point, chosen.when)
    async with (
        Database(dsn, size=3) as db,
        house(db, Path(home), acts=acts, world=world, processes=chosen.processes) as running,
    ):
        await chosen.prepare(running)
        armed = True
        await chosen.begin(running)
        await chosen.end(running)


if __name__ == "__main__":
    serve(trial, waits=True)
