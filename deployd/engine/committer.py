"""The process's one committer: whatever is ready goes into one statement.

Natural batching: while one commit is under way the next batch gathers; no timer, so a lone outcome
waits for nothing. API mutations use it as well as workers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import asyncpg

from deployd.engine.recording import Moved, record
from deployd.errors import PostgresUnavailable, StoreError
from deployd.store import commit
from deployd.store.commit import Applied, Batch, Birth, Post, Step
from deployd.store.database import Database
from deployd.store.hints import Hint

__all__ = ["Commit", "Committer"]

_log = logging.getLogger(__name__)

_BATCH = 500
_PATIENCE = 30.0

Committed = Callable[[Hint], None]


class Commit(Protocol):
    """What workers and operations need of the committer."""

    async def step(self, step: Step) -> Applied | None:
        """Commit an outcome; None where the machine has moved on, or where that is not known."""
        ...

    async def store(self, births: tuple[Birth, ...] = (), posts: tuple[Post, ...] = ()) -> None:
        """Commit births and posts of somebody who holds no machine; returns once they are durable."""
        ...


class _Entry:
    __slots__ = ("births", "done", "posts", "step")

    def __init__(self, step: Step | None, births: tuple[Birth, ...], posts: tuple[Post, ...]) -> None:
        self.step, self.births, self.posts = step, births, posts
        self.done: asyncio.Future[Applied | None] = asyncio.get_running_loop().create_future()


class Committer:
    """Start with `run` as a task. `committed` is told what each commit has to tell."""

    def __init__(self, db: Database, committed: Committed, moved: Moved | None = None) -> None:
        """`moved` hears every transition, for traces."""
        self._db = db
        self._committed = committed
        self._moved = moved
        self._waiting: list[_Entry] = []
        self._ready = asyncio.Event()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._stopping = False

    async def step(self, step: Step) -> Applied | None:
        """See Commit."""
        return await self._enter(_Entry(step, (), ()))

    async def store(self, births: tuple[Birth, ...] = (), posts: tuple[Post, ...] = ()) -> None:
        """See Commit. Raises PostgresUnavailable after half a minute without a database."""
        await self._enter(_Entry(None, births, posts))

    async def _enter(self, entry: _Entry) -> Applied | None:
        if self._stopping:
            raise StoreError("deployd is stopping", remedy="Try again once it runs.")
        self._waiting.append(entry)
        self._ready.set()
        # A caller that is cancelled takes only its own future along: its outcome is committed all the same.
        return await entry.done

    async def run(self) -> None:
        """Commit until `stop`; whatever waits then is still committed."""
        try:
            while self._waiting or not self._stopping:
                await self._ready.wait()
                entries, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                if not self._waiting and not self._stopping:
                    self._ready.clear()
                if entries:
                    await self._commit(entries)
        finally:
            for entry in self._waiting:
                if not entry.done.done():
                    entry.done.set_exception(StoreError("deployd stopped before this was committed"))
            if self._connection is not None:
                self._connection.terminate()

    def stop(self) -> None:
        """Take nothing new, finish what waits."""
        self._stopping = True
        self._ready.set()

    async def _commit(self, entries: list[_Entry]) -> None:
        batch = Batch()
        for entry in entries:
            if entry.step is not None:
                batch.steps.append(entry.step)
            batch.births += entry.births
            batch.posts += entry.posts
        begun = time.monotonic()
        try:
            answers = await self._write(batch)
        except asyncpg.PostgresError as error:
            # One entry that the database refuses must not take the others of its batch with it.
            if len(entries) == 1:
                _settle(entries[0], None, StoreError(f"the database refused an outcome: {error}"))
                return
            _log.warning("commit of %d refused (%s); one by one", len(entries), error)
            for entry in entries:
                await self._commit([entry])
            return
        except Exception as error:
            for entry in entries:
                _settle(entry, None, error)
            return
        record(batch, answers, time.monotonic() - begun, self._moved)
        applied = iter(answers)
        for entry in entries:
            _settle(entry, next(applied) if entry.step is not None else None, None)
        hint = _hint_of(batch, answers)
        if hint.worlds or hint.mail:
            self._committed(hint)

    async def _write(self, batch: Batch) -> list[Applied | None]:
        """Write, reconnecting for half a minute when the server is lost.

        A batch whose connection broke may have been committed. Its steps then no longer match, and
        come back as None; births of the same id are left alone; only posts may arrive twice, and a
        repeated request is answered like the first.
        """
        give_up = asyncio.get_running_loop().time() + _PATIENCE
        pause = 0.05
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    # A generic plan: planning this statement costs more than running it. It is made once,
                    # maybe while the tables are nearly empty, and has to stay right when they are not.
                    self._connection = await self._db.connect(
                        plan_cache_mode="force_generic_plan", enable_seqscan="off"
                    )
                return await commit.write(self._connection, batch)
            except (PostgresUnavailable, asyncpg.DeadlockDetectedError, TimeoutError) as error:
                if asyncio.get_running_loop().time() > give_up:
                    raise
                _log.warning("commit of %d steps waits: %s", len(batch.steps), error)
                if not isinstance(error, asyncpg.DeadlockDetectedError) and self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1)


def _hint_of(batch: Batch, answers: Sequence[Applied | None]) -> Hint:
    """What a commit has to tell: of a step only where it counted."""
    worlds: set[int] = set()
    mail: set[UUID] = set()
    births, posts = [*batch.births], [*batch.posts]
    for step, answer in zip(batch.steps, answers, strict=True):
        if answer is None:
            continue
        if step.trigger is not None:
            worlds.add(step.machine.world_id)
        if step.births:
            births += step.births
        if step.posts:
            posts += step.posts
        if answer.woken:
            mail.update(answer.woken)
    worlds.update(birth.world_id for birth in births)
    mail.update(post.machine_id for post in posts)
    return Hint(frozenset(worlds), frozenset(mail), due=bool(births))


def _settle(entry: _Entry, answer: Applied | None, error: BaseException | None) -> None:
    if entry.done.done():
        return
    if error is not None:
        entry.done.set_exception(error)
        # A caller that was cancelled no longer looks; the log does.
        entry.done.add_done_callback(lambda future: future.exception())
    else:
        entry.done.set_result(answer)
