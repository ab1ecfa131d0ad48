"""Limits: the turns that machines take of a capability that works for only so many of them at once."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from uuid import UUID

from deployd.engine.context import Context
from deployd.engine.undoing import has_nothing_to_undo
from deployd.errors import NotFound
from deployd.machines import RUNNERS
from deployd.model.facts import ChangeFacts, DeploymentFacts, Facts
from deployd.model.state import DeploymentState, MachineKind
from deployd.store import turns
from deployd.store.machines import Claimed
from deployd.store.strangers import Strangers

__all__ = ["Turns", "turn_of"]

_POLL = 1.0  # seconds: how late a turn is noticed that another replica freed and nobody hinted at


async def turn_of(context: Context, world_id: int, kind: MachineKind, state: str, facts: Facts) -> str | None:
    """The capability whose turn a machine needs to act in this state; None: it may act as it is."""
    if state not in RUNNERS[kind].limited or isinstance(facts, ChangeFacts):
        return None
    if isinstance(facts, DeploymentFacts) and _ends_at_once(state, facts):
        return None
    try:
        capability = (await context.world(world_id)).capabilities.get(facts.capability)
    except NotFound:
        return None
    return facts.capability if capability is not None and capability.limit is not None else None


def _ends_at_once(state: str, facts: DeploymentFacts) -> bool:
    """Whether it was cancelled while it waited for its first turn."""
    return state == DeploymentState.CANCELLING and has_nothing_to_undo(facts)


class Turns:
    """What one worker takes: looked for once a second, and when somebody saw a reason to."""

    def __init__(self, context: Context, placements: Sequence[str], strangers: Strangers) -> None:
        self._context, self._placements, self._strangers = context, tuple(placements), strangers
        self._looked = float("-inf")
        self.worlds: frozenset[int] = frozenset()
        """Where something waited for this worker when it looked last: what moves there may free a turn."""

    def look(self) -> None:
        """There may be a turn to be taken: look at once."""
        self._looked = float("-inf")

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return time.monotonic() - self._looked >= _POLL

    async def take(self, worker: UUID, most: int) -> list[Claimed]:
        """Machines whose turn it is, claimed. One query where nothing waits."""
        self._looked = time.monotonic()
        db = self._context.db
        waiting = await turns.waiting(db, self._placements)
        self.worlds = frozenset(world_id for world_id, _ in waiting)
        random.shuffle(waiting)  # so that no capability comes last each time when the worker is nearly full
        taken: list[Claimed] = []
        for world_id, capability in waiting:
            if len(taken) < most:
                free = most - len(taken)
                taken += await turns.take(
                    db, worker, self._placements, world_id, capability, free, self._strangers
                )
        return taken
