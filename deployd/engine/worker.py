"""The worker: registers, keeps its heartbeat, claims what is due, and drives what it holds.

Several workers, in as many processes as one likes, share one database; there is no leader.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from deployd.engine.bus import Bus
from deployd.engine.called import Called
from deployd.engine.committer import Commit
from deployd.engine.context import Context
from deployd.engine.holding import Holding
from deployd.engine.lease import LEASE, Lease
from deployd.engine.outcome import Acts, Answers
from deployd.engine.turns import Turns
from deployd.errors import DeploydError
from deployd.machines import RUNNERS
from deployd.store import machines, workers
from deployd.store.hints import Hint
from deployd.store.machines import Claimed
from deployd.store.strangers import Strangers
from deployd.telemetry.metrics import CLAIMS

__all__ = ["Worker"]

_log = logging.getLogger(__name__)

_POLL = 1.0  # seconds: how late work is noticed when every hint was lost
_AGAIN = 0.01  # seconds after which a claim is tried again that found what is due locked; doubled each time
_SWEEP = 10.0  # seconds between two looks for what is held unknowingly, when nothing gives reason for one
_AT_ONCE = 200  # machines in one claim: so that several replicas share what comes, and the answer stays small


class Worker:
    """An async context manager: works while it lasts; at its end lets go of everything.

    `capacity` bounds how many machines it holds at once. `lease` is how long others wait for its
    heartbeat before they take over.
    """

    def __init__(
        self,
        context: Context,
        commit: Commit,
        bus: Bus,
        acts: Acts,
        answers: Answers,
        *,
        placements: Sequence[str],
        capacity: int = 1000,
        lease: timedelta = timedelta(seconds=5),
    ) -> None:
        self._context, self._commit, self._bus = context, commit, bus
        self._acts, self._answers = acts, answers
        self._placements = tuple(placements)
        self._capacity = capacity
        self._length = lease
        self.id = uuid4()
        self._lease = Lease(lease)
        context.check = self._check
        self._held: dict[tuple[int, UUID], tuple[Holding, asyncio.Task[None]]] = {}
        self._called = Called()
        self._strangers = Strangers()
        self._turns = Turns(context, self._placements, self._strangers)
        self._sweep_at = 0.0
        """When to look for what is held unknowingly, on the loop's clock."""
        self._kick = asyncio.Event()
        self._mail = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._bury_predecessors()
        await self._register()
        self._stack.callback(self._bus.listen(self._heard))
        for name, loop in (
            ("beat", self._beat),
            ("reap", self._reap),
            ("mail", self._read_mail),
            ("claim", self._claim),
        ):
            await self._stack.enter_async_context(_Running(f"worker {name}", loop))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop claiming, stop acting, and return what was held."""
        await self._stack.aclose()
        await self._let_go()
        try:
            await workers.end(self._context.db, self.id)
            await machines.release_dead(self._context.db)
        except DeploydError as failure:
            _log.warning("worker %s could not say goodbye: %s", self.id, failure)

    def _check(self) -> None:
        """By the lease under which an act's machine is held: the worker may have another one by now."""
        LEASE.get(self._lease).check()

    def _heard(self, hint: Hint) -> None:
        if not hint.worlds.isdisjoint(self._turns.worlds):
            self._look_for_turns()
        if hint.lost:
            self._called.call_all()
        if self._called.call(hint.mail) or hint.lost:
            self._mail.set()
        if hint.lost or hint.due or hint.mail:
            self._kick.set()

    def _look_for_turns(self) -> None:
        self._turns.look()
        self._kick.set()

    async def _register(self) -> None:
        sent = self._lease.now()
        await workers.add(self._context.db, self.id, self._placements, self._context.placement, os.getpid())
        self._lease.renew(sent)

    async def _bury_predecessors(self) -> None:
        """Workers of this host whose process is no more need not be waited for."""
        for worker, pid in await workers.alive_on(self._context.db, self._context.placement):
            if not _lives(pid):
                await workers.end(self._context.db, worker)
        await machines.release_dead(self._context.db)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._length.total_seconds() / 5)
            sent = self._lease.now()
            if await workers.beat(self._context.db, self.id):
                self._lease.renew(sent)
                continue
            _log.warning("worker %s was declared dead; going on under a new id", self.id)
            self._lease.lose()
            await self._let_go()
            self.id = uuid4()
            self._lease = Lease(self._length)
            await self._register()
            self._kick.set()

    async def _reap(self) -> None:
        while True:
            dead = await workers.bury(self._context.db, self._length)
            returned = await machines.release_dead(self._context.db)
            if dead or returned:
                _log.warning("%d workers died; %d machines go on", len(dead), returned)
                self._look_for_turns()
            await workers.cut_off(self._context.db, self._length)
            await asyncio.sleep(self._length.total_seconds() / 2)

    async def _read_mail(self) -> None:
        while True:
            await _heard_within(self._mail, _POLL)
            self._mail.clear()
            if not self._held:
                continue
            begun = self._called.now
            for (world_id, machine_id, fence), mail in (
                await machines.held_mail(self._context.db, self.id)
            ).items():
                if (held := self._held.get((world_id, machine_id))) is not None:
                    held[0].deliver(mail, fence)
                    self._called.read(machine_id, begun)

    async def _claim(self) -> None:
        """The only loop that takes machines, so that what it does not know is not on its way to it."""
        loop = asyncio.get_running_loop()
        self._sweep_at = 0.0
        kicked, pause = True, _AGAIN
        while True:
            self._kick.clear()
            owner, lease = self.id, self._lease
            if lease.held and loop.time() >= self._sweep_at:
                self._sweep_at = loop.time() + _SWEEP
                await machines.return_unknown(self._context.db, owner, [key[1] for key in self._held])
            self._called.expect()
            taken, free = 0, 0
            if self._turns.due and lease.held and (free := self._capacity - len(self._held)) > 0:
                taken += await self._hold(await self._turns.take(owner, min(free, _AT_ONCE)), owner, lease)
            if lease.held and (free := self._capacity - len(self._held)) > 0:
                claimed = await machines.claim(
                    self._context.db, owner, self._placements, min(free, _AT_ONCE), self._strangers
                )
                taken += await self._hold(claimed, owner, lease)
            if self._called.came():
                self._mail.set()
            if taken:
                CLAIMS.add(amount=taken)
                pause = _AGAIN
            elif (
                kicked
                and free > 0
                and await machines.overlooked(self._context.db, self._placements, self._strangers)
            ):  # the row that a hint was about was locked just then
                heard = await _heard_within(self._kick, pause)
                pause = _AGAIN if heard else min(pause * 2, _POLL)
            else:
                kicked, pause = await _heard_within(self._kick, _POLL), _AGAIN

    async def _hold(self, claimed: Sequence[Claimed], owner: UUID, lease: Lease) -> int:
        """Go on with what was claimed; how many machines these are. Those of a state not known are let go."""
        if not lease.held:  # lost while the claim was under way: others may have them by now
            self._sweep_at = 0.0
            return 0
        known = [one for one in claimed if one.machine.state in RUNNERS[one.machine.kind].states]
        for one in known:
            self._context.claimed(one.machine.world_id, one.world_version)
            holding = Holding(
                one,
                owner,
                self._context,
                self._commit,
                self._acts,
                self._answers,
                freed=self._look_for_turns,
            )
            task = asyncio.create_task(
                _under(lease, holding), name=f"{holding.machine.kind} {holding.machine.id}"
            )
            self._held[holding.key] = holding, task
            self._called.hold(holding.machine.id)
            task.add_done_callback(functools.partial(self._dropped, holding))
        if len(known) < len(claimed):
            strange = [one.machine.id for one in claimed if one not in known]
            _log.warning("%d machines are in states unknown here; left to a newer deployd", len(strange))
            self._strangers.add(strange)
            await machines.let_go(self._context.db, owner, strange)
        return len(known)

    def _dropped(self, holding: Holding, task: asyncio.Task[None]) -> None:
        if self._held.get(holding.key, (None, None))[1] is task:
            del self._held[holding.key]
            if self._called.let_go(holding.machine.id) or holding.has_mail:
                self._kick.set()  # its mail came too late to be seen while it was held
        if not task.cancelled() and (error := task.exception()) is not None:
            holding.unsure = True
            _log.error("%s %s", holding.machine.kind, holding.machine.id, exc_info=error)
        if holding.unsure:
            self._sweep_at = 0.0
        if len(self._held) >= self._capacity - 1:
            self._kick.set()
        elif holding.due is not None and holding.due.total_seconds() < _POLL * 60:
            # It wants to be looked at soon: be there in time, rather than at the next poll.
            soon = self._look_for_turns if holding.is_limited else self._kick.set
            asyncio.get_running_loop().call_later(holding.due.total_seconds() + 0.001, soon)

    async def _let_go(self) -> None:
        tasks = [task for _, task in self._held.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._held.clear()
        self._called = Called()


async def _under(lease: Lease, holding: Holding) -> None:
    LEASE.set(lease)
    await holding.run()


async def _heard_within(event: asyncio.Event, seconds: float) -> bool:
    """Until the event, or so long; whether it came. Not by `asyncio.wait_for`: before Python 3.12 that loses
    a cancellation that comes together with the event, and its loop would never end.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class _Running:
    """A loop as a task that starts again after an error, until the context ends."""

    def __init__(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name, self._loop = name, loop

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._again(), name=self._name)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _again(self) -> None:
        while True:
            try:
                await self._loop()
            except DeploydError as error:
                _log.warning("%s: %s", self._name, error)
            except Exception:
                _log.exception("%s", self._name)
            await asyncio.sleep(0.5)


def _lives(pid: int) -> bool:
    """Whether a process of this id runs, other than this one (whose id a container gives out again)."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
