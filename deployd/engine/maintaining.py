"""Maintenance: the duties on their schedule, which all replicas share, and at an operator's word.

Nobody is a leader: whichever replica sees first that a duty is due takes it, for a bounded time. A run that
was killed is taken up again when that is over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from deployd.access.policy import Action, require
from deployd.engine.context import Driver
from deployd.engine.duties import DUTIES, Spec, Work
from deployd.errors import DeploydError, InputError, PostgresUnavailable, Retryable
from deployd.model.actor import Actor
from deployd.model.duty import Counted, Duty, DutyOutcome
from deployd.model.retention import Retention
from deployd.sources.trees import Trees
from deployd.store import duties
from deployd.store.database import Database
from deployd.store.duties import Ended, Record

__all__ = ["Maintaining"]

_log = logging.getLogger(__name__)

_LOOK = 60.0
"""Seconds between two looks for what is due."""
_FIRST = timedelta(minutes=5)
"""After so long a duty is done for the first time: a start has other things to do."""
_LONGEST = timedelta(minutes=20)
"""For so long a duty is somebody's; it stops by itself long before."""
_SCHEDULED, _ASKED = 300.0, 15.0
"""Seconds after which a duty begins no other batch: by the schedule; of all duties together, asked for."""
_SOON = timedelta(minutes=2)
"""Until what was not finished goes on."""
Drivers = Callable[[], Awaitable[Sequence[Driver]]]


@dataclass(frozen=True)
class Maintaining:
    """Made once, in the composition root. `run` is a task."""

    db: Database
    trees: Trees
    placement: str
    keep: Retention
    drivers: Drivers
    """Every driver that a living world has a capability for."""

    async def run(self) -> None:
        """For ever. A database that is away is waited for."""
        planned = False
        while True:
            try:
                if not planned:
                    await self.plan()
                    planned = True
                await self.do_due()
            except PostgresUnavailable as error:
                _log.warning("maintenance waits: %s", error)
            except Exception:
                _log.exception("maintenance")
            await asyncio.sleep(_LOOK)

    async def plan(self) -> None:
        """Every duty has its time."""
        await duties.plan(self.db, [(one.name, self._place(one), _FIRST) for one in DUTIES.values()])

    async def do_due(self) -> list[Duty]:
        """Do what is due and nobody is at, one after the other; what each came to."""
        return [
            await self._do(spec, time.monotonic() + _SCHEDULED)
            for spec in DUTIES.values()
            if await duties.take(self.db, spec.name, self._place(spec), _LONGEST)
        ]

    async def duties(self, actor: Actor | None) -> list[Duty]:
        """Every duty, those of other hosts as well. Raises Unauthenticated, Forbidden."""
        require(actor, Action.DIAGNOSE, None)
        there = await duties.list_all(self.db)
        found = [_of(DUTIES[one.name], one) for one in there if one.name in DUTIES]
        names = list(DUTIES)
        known = {(one.name, one.place or "") for one in found}
        found += [_of(one, None) for one in DUTIES.values() if (one.name, self._place(one)) not in known]
        return sorted(found, key=lambda one: (names.index(one.name), one.place or ""))

    async def maintain(
        self, actor: Actor | None, names: Sequence[str] = (), *, dry_run: bool = False
    ) -> list[Duty]:
        """Do these duties now (none: all), of the database and of this host; what each came to.

        As a `dry_run` nothing is removed, and each says what would be. Raises InputError for a name that is
        none, Unauthenticated, Forbidden.
        """
        require(actor, Action.MAINTAIN, None)
        unknown = [one for one in names if one not in DUTIES]
        if unknown:
            raise InputError(f"there is no duty {unknown[0]!r}", remedy=f"There are: {', '.join(DUTIES)}.")
        await self.plan()
        until = time.monotonic() + _ASKED
        done: list[Duty] = []
        for spec in DUTIES.values():
            if names and spec.name not in names:
                continue
            if dry_run:
                done.append(_ended(spec, self._place(spec), await self._work(spec, until, dry_run=True)))
            elif await duties.take(self.db, spec.name, self._place(spec), _LONGEST, asked=True):
                done.append(await self._do(spec, until))
            else:
                busy = Ended(DutyOutcome.UNFINISHED, "another one is at it", (), 0.0)
                done.append(_ended(spec, self._place(spec), busy))
        return done

    async def _do(self, spec: Spec, until: float) -> Duty:
        """A duty that was taken; it is on record what it came to, also where that is nothing good."""
        place = self._place(spec)
        try:
            ended = await self._work(spec, until)
        except BaseException:
            await asyncio.shield(_given_back(self.db, spec.name, place))
            raise
        again = spec.every if ended.outcome is DutyOutcome.DONE else min(spec.every, _SOON)
        if ended.outcome is DutyOutcome.FAILED:
            again = min(spec.every, timedelta(hours=1))
            _log.warning("maintenance: %s: %s", spec.name, ended.summary)
        elif any(one.number for one in ended.counted):
            _log.info("maintenance: %s: %s", spec.name, ended.summary)
        await duties.end(self.db, spec.name, place, ended, again)
        return _ended(spec, place, ended)

    async def _work(self, spec: Spec, until: float, *, dry_run: bool = False) -> Ended:
        work = Work(self.db, self.trees, self.keep, self.drivers, until, dry_run)
        begun = time.monotonic()
        failed: str | None = None
        try:
            await spec.act(work)
        except PostgresUnavailable:
            raise
        except Retryable as error:
            work.unfinished = True
            _log.info("maintenance: %s: %s", spec.name, error)
        except DeploydError as error:
            failed = error.message
        except OSError as error:
            failed = f"{type(error).__name__}: {error}"
        except Exception as error:
            _log.exception("maintenance: %s", spec.name)
            failed = f"{type(error).__name__}: see the server's log"
        counted = tuple(Counted(what, number) for what, number in work.counted.items())
        outcome = DutyOutcome.UNFINISHED if work.unfinished else DutyOutcome.DONE
        summary = _summary(counted)
        if failed is not None:
            outcome, summary = DutyOutcome.FAILED, failed
        return Ended(outcome, summary, counted, time.monotonic() - begun)

    def _place(self, spec: Spec) -> str:
        return self.placement if spec.hosted else ""


async def _given_back(db: Database, name: str, place: str) -> None:
    try:
        await duties.leave(db, name, place)
    except DeploydError as error:
        _log.warning("maintenance: %s is free again in a while: %s", name, error)


def _summary(counted: Sequence[Counted]) -> str:
    said = [f"{one.number} {one.what}" for one in counted if one.number]
    return ", ".join(said) if said else "nothing to do"


def _of(spec: Spec, known: Record | None) -> Duty:
    duty = Duty(spec.name, spec.description, round(spec.every.total_seconds()), None)
    if known is None:
        return duty
    last = known.last
    return Duty(
        spec.name,
        spec.description,
        duty.every_seconds,
        known.place or None,
        known.due_at,
        known.last_at,
        None if last is None else last.seconds,
        None if last is None else last.outcome,
        "" if last is None else last.summary,
        () if last is None else last.counted,
        known.busy,
    )


def _ended(spec: Spec, place: str, ended: Ended) -> Duty:
    """As it was done just now."""
    return Duty(
        spec.name,
        spec.description,
        round(spec.every.total_seconds()),
        place or None,
        seconds=ended.seconds,
        outcome=ended.outcome,
        summary=ended.summary,
        counted=ended.counted,
    )
