"""The real `Holding`, taken apart into steps: from a value on to the next thing that it wants of the world.

A `Holding` cannot be copied while it waits. So it is made anew from what it knew when its present step began,
told again what it was told since, and followed until it wants something that it has not been told yet. That
depends on the value alone, and is remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

from deployd.engine import holding as real
from deployd.engine import turns
from deployd.engine.holding import Holding
from deployd.errors import LeaseLost, PostgresUnavailable
from deployd.machines import Runner
from deployd.model.machine import Machine, Request
from deployd.model.state import MachineKind
from deployd.model.world import Capability
from deployd.store.codec import encode
from deployd.store.commit import Applied, Step
from deployd.store.machines import Claimed
from tests.model import jobs
from tests.model.statements import Violation
from tests.model.tables import BASE, FACTS, TICK, actor_of
from tests.model.values import Held, Mail, kind_of, uid

_THEN = datetime(2026, 1, 1, tzinfo=UTC)
UNAVAILABLE = "unavailable"
"""What a holding is told when the database was lost."""


class Wants(NamedTuple):
    """What it waits for: `commit`, `get_held`, `wait_for`, a call's `begin`, `effect` or `answer`; or it has
    `ended`.
    """

    kind: str
    held: Held
    what: Any = None
    acting: bool = False
    """Within its act, which requests and the deadline interrupt."""
    key: int = 0
    """Of the outcome that it wants to commit: the number of all that it says."""


class Stage:
    """What a Holding sees of the world: whatever it asks for, it is told from the script, or waits."""

    def __init__(self, world_id: int, script: Sequence[tuple[str, Any]], limit: int | None) -> None:
        self.db: Any = self
        self.world_id = world_id
        self._limit = limit
        self._script = list(script)
        self.holding: Holding | None = None
        self.wanted: asyncio.Future[tuple[str, Any, bool]] = asyncio.get_running_loop().create_future()

    @property
    def told(self) -> bool:
        """Whether all of the script was said."""
        return not self._script

    async def gate(self, kind: str, what: Any = None) -> Any:
        """What comes of it."""
        holding = self.holding
        assert holding is not None
        while self._script:
            event, said = self._script.pop(0)
            if event in ("mail", "old mail"):
                holding.deliver(requests(said), holding.machine.fence - (event == "old mail"))
                await asyncio.sleep(0)  # where an interruption arrives
            elif event == "alarm":
                holding._interrupt()
                await asyncio.sleep(0)
            elif said == UNAVAILABLE:
                raise PostgresUnavailable("lost")
            else:
                return said
        self.wanted.set_result((kind, what, holding._acting is not None))
        return await asyncio.get_running_loop().create_future()

    async def step(self, step: Step) -> Applied | None:
        """As the committer."""
        said = await self.gate("commit", step)
        return None if said is None else Applied(_seconds(said[0]), None)

    async def fetch(self, query: str, *_: Any) -> Sequence[Any]:
        """As the database."""
        said = await self.gate(query)
        if query == "get_held" and said is not None:
            return [_row(self.world_id, *said)]
        return [True] if said else []

    async def world(self, _: int) -> SimpleNamespace:
        """The world, in which jobs are limited, or not."""
        return SimpleNamespace(name="local", capabilities={"main": Capability("model", limit=self._limit)})


class Actors:
    """Goes on with holdings, by the tables that are explored."""

    def __init__(
        self, world_id: int, runners: Mapping[MachineKind, Runner], limit: int | None = None
    ) -> None:
        self._world_id, self._runners, self._limit = world_id, runners, limit
        self._known: dict[Held, Wants] = {}
        self._outcomes: dict[str, int] = {}

    async def go_on(self, held: Held) -> Wants:
        """Until it wants something."""
        wants = self._known.get(held)
        if wants is None:
            wants = self._known[held] = await self._go_on(held)
        return wants

    async def _go_on(self, held: Held) -> Wants:
        before = real.RUNNERS
        real.RUNNERS = turns.RUNNERS = self._runners  # type: ignore[assignment]
        try:
            while True:
                wants = await self._advance(held)
                if not isinstance(wants, Held):
                    return wants
                held = wants
        finally:
            real.RUNNERS = turns.RUNNERS = before

    async def _advance(self, held: Held) -> Wants | Held:
        """One step of it: what it wants on the way, or what it knows behind it."""
        stage = Stage(self._world_id, held.events, self._limit)
        remaining = None if held.deadline is None else 0.0 if held.expired else TICK.total_seconds()
        limited_by = "main" if held.limited else None
        claimed = Claimed(self._machine(held), remaining, requests(held.mail), limited_by, held.turn)
        holding = Holding(claimed, uid(held.owner), stage, stage, jobs.ACTS, jobs.ANSWERS)  # type: ignore[arg-type]
        holding._answered.update(held.answered)
        stage.holding, deadline = holding, holding._deadline
        task = asyncio.ensure_future(holding._advance())
        await asyncio.wait({task, stage.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            kind, what, acting = stage.wanted.result()
            if not stage.told:
                raise Violation(f"{held.name} was not told all")
            key = self._outcomes.setdefault(repr(what), len(self._outcomes)) if kind == "commit" else 0
            return Wants(kind, held, what, acting, key)
        if isinstance(task.exception(), LeaseLost | PostgresUnavailable) or not task.result():
            return Wants("ended", held)
        if holding._deadline is deadline:
            left = held.deadline
        elif holding._deadline is None:
            left = None
        else:
            left = max(
                0, round((holding._deadline - asyncio.get_running_loop().time()) / TICK.total_seconds())
            )
        machine = holding.machine
        return Held(
            held.name,
            held.owner,
            machine.state,
            machine.attempt,
            machine.version - BASE,
            machine.fence - BASE,
            left,
            left is not None and left <= 0,
            tuple((one.id, one.trigger) for one in holding._mail.values()),
            tuple(sorted(holding._answered)),
            limited=holding._limited_by is not None,
            turn=holding._turn,
        )

    def _machine(self, held: Held) -> Machine:
        kind = kind_of(held.name)
        return Machine(
            self._world_id, uid(held.name), kind, held.state, None, None, None, None, BASE + held.version,
            BASE + held.fence, held.attempt, None, _THEN, _THEN, FACTS[kind],
        )  # fmt: skip


def requests(mail: Mail) -> tuple[Request, ...]:
    """As they are read."""
    return tuple(Request(id_, trigger, actor_of(trigger)) for id_, trigger in mail)


def _seconds(ticks: int | None) -> float | None:
    return None if ticks is None else ticks * TICK.total_seconds()


def _json(mail: Mail) -> str | None:
    return (
        encode([{"id": i, "trigger": t, "actor": actor_of(t), "payload": {}} for i, t in mail])
        if mail
        else None
    )


def _row(
    world_id: int, name: str, state: str, attempt: int, version: int, fence: int, remaining: int | None,
    mail: Mail, limited: bool, turn: bool,
) -> dict[str, Any]:  # fmt: skip
    """As the database answers."""
    kind = kind_of(name)
    return {
        "world_id": world_id, "id": uid(name), "kind": kind, "state": state, "name": None, "service_id": None,
        "change_id": None, "placement": None, "version": BASE + version, "fence": BASE + fence,
        "attempt": attempt, "deadline_at": None, "created_at": _THEN, "updated_at": _THEN,
        "facts": encode(FACTS[kind]), "remaining": _seconds(remaining),
        "limited_by": "main" if limited else None, "turn": turn, "world_version": 1, "mail": _json(mail),
    }  # fmt: skip
