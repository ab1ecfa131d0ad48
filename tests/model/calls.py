"""The statements of the protocol by name: deployd.store's own functions, their answers as plain values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from deployd.store import commit, machines, turns, workers
from deployd.store.commit import Batch, Post
from deployd.store.machines import Claimed
from deployd.store.strangers import Strangers
from tests.model.jobs import SETTLED
from tests.model.statements import Statements
from tests.model.tables import BASE, TICK, actor_of, ticks
from tests.model.values import SILENCE, Held, Mail, name_of, uid


def ticks_of(seconds: float | None) -> int | None:
    """A time left."""
    return None if seconds is None else ticks(seconds / TICK.total_seconds())


def _claimed(one: Claimed, owner: str) -> Held:
    left = ticks_of(one.remaining)
    mail = tuple((request.id, request.trigger) for request in one.mail)
    machine = one.machine
    return Held(
        name_of(machine.id),
        owner,
        machine.state,
        machine.attempt,
        0,
        0,
        left,
        left is not None and left <= 0,
        mail,
        limited=one.limited_by is not None,
        turn=one.turn,
    )


async def _claim(db: Statements, worker: str) -> tuple[Held, ...]:
    found = await machines.claim(db, uid(worker), ["here"], 10)  # type: ignore[arg-type]
    return tuple(sorted(_claimed(one, worker) for one in found))


async def _held_mail(db: Statements, worker: str) -> tuple[tuple[str, int, Mail], ...]:
    found = await machines.held_mail(db, uid(worker))  # type: ignore[arg-type]
    return tuple(
        sorted(
            (name_of(machine), fence - BASE, tuple((one.id, one.trigger) for one in mail))
            for (_, machine, fence), mail in found.items()
        )
    )


async def _get_held(db: Statements, name: str, owner: str, fence: int) -> tuple[object, ...] | None:
    found = await machines.get_held(db, db.world_id, uid(name), uid(owner), BASE + fence)  # type: ignore[arg-type]
    if found is None:
        return None
    held = _claimed(found, owner)
    return held.name, held.state, held.attempt, 0, 0, held.deadline, held.mail, held.limited, held.turn


class _Half:
    """`turns.take` up to where it has locked and counted (`taken` None), or from there on."""

    def __init__(self, db: Statements, taken: tuple[str, ...] | None = None) -> None:
        self._db, self.taken = db, taken

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]:
        """Either statement, the other one left out."""
        if query != "take_turns":
            return await self._db.fetch(query, *args)
        if self.taken is not None:
            return [{"id": uid(one)} for one in self.taken]
        self.taken = tuple(sorted(name_of(row["id"]) for row in await self._db.fetch(query, *args)))
        return []


async def _take(db: _Half, worker: str, world_id: int) -> tuple[Held, ...]:
    found = await turns.take(db, uid(worker), ["here"], world_id, "main", 10, Strangers())  # type: ignore[arg-type]
    return tuple(sorted(_claimed(one, worker) for one in found))


async def _take_turns(db: Statements, worker: str) -> tuple[str, ...]:
    half = _Half(db)
    await _take(half, worker, db.world_id)
    assert half.taken is not None
    return half.taken


async def _get_taken(db: Statements, worker: str, taken: tuple[str, ...]) -> tuple[Held, ...]:
    return await _take(_Half(db, taken), worker, db.world_id)


async def _list_waiting(db: Statements) -> bool:
    return await turns.waiting(db, ["here"]) == [(db.world_id, "main")]  # type: ignore[arg-type]


async def _wait_for(db: Statements, name: str) -> bool:
    return await machines.wait_for(db, db.world_id, uid("C"), uid(name), SETTLED)  # type: ignore[arg-type]


async def _post(db: Statements, trigger: str) -> None:
    post = Post(db.world_id, uid("M"), trigger, actor_of(trigger))
    await commit.write(db.connection, Batch(posts=[post]))


async def _return_unknown(db: Statements, worker: str, known: tuple[str, ...]) -> None:
    await machines.return_unknown(db, uid(worker), [uid(one) for one in known])  # type: ignore[arg-type]


async def _bury(db: Statements) -> None:
    await workers.bury(db, SILENCE * TICK)  # type: ignore[arg-type]


async def _release_dead(db: Statements) -> None:
    await machines.release_dead(db)  # type: ignore[arg-type]


async def _beat(db: Statements, worker: str) -> bool:
    return await workers.beat(db, uid(worker))  # type: ignore[arg-type]


async def _add(db: Statements, worker: str) -> None:
    await workers.add(db, uid(worker), ["here"], "here", 1)  # type: ignore[arg-type]


CALLS: dict[str, tuple[str, Callable[..., Awaitable[Any]]]] = {
    "claim": ("claim", _claim),
    "list_waiting": ("list_waiting", _list_waiting),
    "take_turns": ("take_turns", _take_turns),
    "get_taken": ("get_taken", _get_taken),
    "held_mail": ("held_mail", _held_mail),
    "get_held": ("get_held", _get_held),
    "wait_for": ("wait_for", _wait_for),
    "post": ("commit", _post),
    "return_unknown": ("return_unknown", _return_unknown),
    "bury": ("bury", _bury),
    "release_dead": ("release_dead", _release_dead),
    "beat": ("beat", _beat),
    "add": ("add_worker", _add),
}
"""Query and call. A further statement is added here, and in network.py where it may happen."""
