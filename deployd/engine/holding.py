"""Going on with one machine for as long as it is held: answer its mail, do its act, commit, go on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from deployd.engine.attributing import attributed, of_error
from deployd.engine.backoff import backoff
from deployd.engine.committer import Commit
from deployd.engine.context import Context
from deployd.engine.outcome import Act, Acts, Answers, Go, Outcome, Stay
from deployd.engine.turns import turn_of
from deployd.errors import DeploydError, LeaseLost, PostgresUnavailable, Retryable
from deployd.machines import RUNNERS
from deployd.machines.table import EXPIRE, State
from deployd.model.actor import ENGINE
from deployd.model.facts import Facts
from deployd.model.machine import Request
from deployd.model.reason import Fault, Reason
from deployd.store import machines
from deployd.store.commit import Step
from deployd.store.machines import Claimed
from deployd.telemetry.metrics import ACTS
from deployd.telemetry.subject import ACTING

__all__ = ["WAKE", "Holding"]

_log = logging.getLogger(__name__)

WAKE = "wake"
"""Mail that asks for nothing but a look: the act does the rest."""

_TRIES = 6  # of an act that fails in a way nobody foresaw, before it counts as errored
_GIVE_UP = ("fail", "roll_back")


class Holding:
    """One claimed machine. `run` returns once it is let go (or lost); `deliver` brings its mail."""

    def __init__(
        self,
        claimed: Claimed,
        owner: UUID,
        context: Context,
        commit: Commit,
        acts: Acts,
        answers: Answers,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        """`freed` is told when a turn may be taken: this machine gave its own back, or asks for one."""
        self.machine = claimed.machine
        self._limited_by, self._turn, self._freed = claimed.limited_by, claimed.turn, freed
        self._deadline = self._moment(claimed.remaining)
        self._mail: dict[int, Request] = {request.id: request for request in claimed.mail}
        self._owner, self._context, self._commit = owner, context, commit
        self._acts, self._answers = acts, answers
        self._acting: asyncio.Task[None] | None = None
        self._interrupted = False
        self._alarm: asyncio.TimerHandle | None = None
        self._answered: set[int] = set()
        self.due: timedelta | None = None
        """When it was let go: how soon it wants to be looked at again."""
        self.unsure = False
        """When it was let go: whether the database may still have it as held."""

    @property
    def key(self) -> tuple[int, UUID]:
        """(world_id, id)."""
        return self.machine.world_id, self.machine.id

    @property
    def is_limited(self) -> bool:
        """Whether it waits for a turn, or will when it is due again."""
        return self._limited_by is not None

    @property
    def has_mail(self) -> bool:
        """Whether some came that is not answered yet."""
        return bool(self._mail)

    def deliver(self, mail: tuple[Request, ...], fence: int) -> None:
        """New mail, read while the machine is held. A request interrupts the act; a wake does not.

        `fence` is the machine's when it was read. What was read under an earlier claim, and comes only now,
        may have been answered then.
        """
        if fence != self.machine.fence:
            return
        for request in mail:
            if request.id not in self._mail and request.id not in self._answered:
                self._mail[request.id] = request
                if request.trigger != WAKE:
                    self._interrupt()

    def _interrupt(self) -> None:
        if self._acting is not None and not self._interrupted:
            self._interrupted = True
            self._acting.cancel()

    def _set_alarm(self) -> None:
        """Let the deadline interrupt an act. One timer serves all states; it may ring early."""
        if self._deadline is None or (self._alarm is not None and self._alarm.when() <= self._deadline):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._is_expired():
            self._interrupt()
        else:
            self._set_alarm()

    async def run(self) -> None:
        """Until nothing is left to do now, or the lease is lost. Raises nothing but CancelledError."""
        ACTING.set(lambda: self.machine)  # of this task, which is the machine's own
        try:
            while await self._advance():
                pass
        except LeaseLost:
            self.unsure = True
            _log.warning("%s %s: lease lost, let go", self.machine.kind, self.machine.id)
        except PostgresUnavailable as error:
            self.unsure = True
            _log.warning("%s %s: %s", self.machine.kind, self.machine.id, error)
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    async def _advance(self) -> bool:
        """One outcome, committed; whether the machine is still held."""
        waits = await self._waits_for_a_turn()  # first: from reading the mail to the act nothing is awaited
        request = self._request()
        state = RUNNERS[self.machine.kind].states[self.machine.state]
        actor, seen = ENGINE, tuple(self._mail)
        outcome: Outcome
        if request is not None:
            actor, seen = request.actor, (request.id,)
            outcome = await self._answer(request)
        elif waits:
            outcome = _Waiting()  # and neither acts nor expires: the time of waiting does not count
        elif self._is_expired():
            outcome = self._expire(state)
        elif state.act is not None:
            try:
                outcome = await self._act(self._acts[self.machine.kind, state.act], state)
            except _Interrupted:
                return True
        else:
            outcome = Stay()
        if outcome.facts is not None or (isinstance(outcome, Go) and outcome.reason is not None):
            outcome = await attributed(self._context, self.machine, outcome)
        return await self._apply(outcome, state, actor, seen, answered=request is not None)

    def _request(self) -> Request | None:
        """What somebody wants, the oldest first."""
        if not self._mail:
            return None
        return next((one for one in self._mail.values() if one.trigger != WAKE), None)

    async def _waits_for_a_turn(self) -> bool:
        """Whether it was claimed for its mail only, or before its capability had a limit."""
        return not self._turn and await self._turn_of(self.machine.state, self.machine.facts) is not None

    async def _turn_of(self, state: str, facts: Facts) -> str | None:
        if state not in RUNNERS[self.machine.kind].limited:
            return None
        return await turn_of(self._context, self.machine.world_id, self.machine.kind, state, facts)

    @staticmethod
    def _moment(remaining: float | None) -> float | None:
        """The deadline on the loop's own clock, so that nobody's wall clock has to be right."""
        return None if remaining is None else asyncio.get_running_loop().time() + remaining

    def _is_expired(self) -> bool:
        return self._deadline is not None and self._deadline <= asyncio.get_running_loop().time()

    def _expire(self, state: State) -> Go:
        last = self.machine.facts.reason
        summary = f"{self.machine.kind} did not get beyond {state.name.replace('_', ' ')} in time"
        reason = Reason(
            "DEADLINE_PASSED",
            f"{summary}: {last.summary}" if last else summary,
            evidence=last.evidence if last else "",
            remedy=last.remedy if last else "",
            fault=Fault.ERRORED,
            key=last.key if last else None,
            subject=last.subject if last else None,
            where=last.where if last else None,
        )
        return Go(EXPIRE, facts=replace(self.machine.facts, reason=reason), reason=reason)

    async def _answer(self, request: Request) -> Outcome:
        try:
            return await self._answers[self.machine.kind](self._context, self.machine, request)
        except (PostgresUnavailable, LeaseLost):
            raise
        except Exception:
            # A request that cannot be understood must not block the mailbox for ever.
            _log.exception("%s %s: request %s dropped", self.machine.kind, self.machine.id, request)
            return Stay()

    async def _act(self, act: Act, state: State) -> Outcome:
        """The act's outcome; what it raises, as an outcome. Raises _Interrupted by mail and the deadline."""
        # The act runs in this very task, since a task for each would cost more than most acts. So an
        # interruption is a cancellation of our own, taken back as soon as it has reached the act.
        task = asyncio.current_task()
        assert task is not None
        self._interrupted, self._acting = False, task
        self._set_alarm()
        begun = time.monotonic()
        try:
            return await act(self._context, self.machine)
        except asyncio.CancelledError:
            if self._interrupted and task.cancelling() == 1:
                raise _Interrupted from None
            raise  # somebody else cancelled us as well: the worker ends
        except (LeaseLost, PostgresUnavailable):
            raise
        except Retryable as error:
            return self._again(state, error)
        except DeploydError as error:
            return self._give_up(state, error, Fault.FAILED)
        except Exception as error:
            _log.exception("%s %s: %s", self.machine.kind, self.machine.id, state.act)
            if self.machine.attempt + 1 < _TRIES:
                return self._again(state, error)
            return self._give_up(state, error, Fault.ERRORED)
        finally:
            ACTS.observe(time.monotonic() - begun, self.machine.kind, state.name)
            self._acting = None
            if self._interrupted:
                task.uncancel()

    def _again(self, state: State, error: Exception) -> Stay:
        reason = of_error(error, Fault.ERRORED, f"{state.name}, try {self.machine.attempt + 1}: ")
        pause = backoff(self.machine.attempt + 1)
        return _Again(after=pause, facts=replace(self.machine.facts, reason=reason))

    def _give_up(self, state: State, error: Exception, fault: Fault) -> Outcome:
        """Fail along the table; where it has no row for that (a service keeps watch), say it and stay."""
        reason = of_error(error, fault)
        facts = replace(self.machine.facts, reason=reason)
        for trigger in _GIVE_UP:
            if RUNNERS[self.machine.kind].allows(trigger, self.machine.state):
                return Go(trigger, facts=facts, reason=reason)
        return _Again(after=max(backoff(self.machine.attempt + 1), state.recheck or timedelta()), facts=facts)

    async def _apply(
        self, outcome: Outcome, state: State, actor: str, seen: tuple[int, ...], *, answered: bool
    ) -> bool:
        """Commit the outcome; whether the machine is still held."""
        machine = self.machine
        go = outcome if isinstance(outcome, Go) else None
        target = state if go is None else RUNNERS[machine.kind].fire(go.trigger, machine.state)
        to_state = str(target.name)
        more = len(self._mail) > len(seen) and any(mail not in seen for mail in self._mail)
        at_once = isinstance(outcome, Stay) and outcome.after == timedelta()
        goes_on = at_once or (target.act is not None and (go is not None or answered))
        facts = machine.facts if outcome.facts is None else outcome.facts
        limited_by = await self._turn_of(str(target.name), facts)
        has_turn = self._turn and limited_by == self._limited_by
        keep = more or (goes_on and (limited_by is None or has_turn))
        deadline = target.deadline
        if go is not None and go.deadline is not None:
            deadline = go.deadline if deadline is None else min(deadline, go.deadline)
        self.due = None
        if not keep and isinstance(outcome, Stay):
            self.due = state.recheck if outcome.after is None else outcome.after
        if limited_by is not None and not has_turn:
            self.due = timedelta()  # it waits for its turn from now on, or as it did before
        attempt = machine.attempt + isinstance(outcome, _Again)
        if not isinstance(outcome, _Again | _Waiting):
            attempt = 0
        applied = await self._commit.step(
            Step(
                machine=machine,
                owner=self._owner,
                trigger=None if go is None else go.trigger,
                to_state=to_state,
                keep=keep,
                actor=actor,
                facts=outcome.facts,
                attempt=attempt,
                due=self.due,
                deadline=deadline,
                settled=target.settled and go is not None,
                frees_name=target.final,
                reason=None if go is None else go.reason,
                births=outcome.births,
                posts=outcome.posts,
                consumed=seen,
                limited_by=limited_by,
                turn=keep and has_turn,
            )
        )
        if applied is None:
            return await self._reload()
        if seen:
            for mail in seen:
                self._mail.pop(mail, None)
            self._answered.update(seen)
        self._deadline = self._moment(applied.remaining)
        self.machine = machine.moved(to_state, attempt, facts)
        if self._turn or limited_by is not None:
            self._turn_is(limited_by, keep and has_turn)
        return keep

    def _turn_is(self, limited_by: str | None, turn: bool) -> None:
        self._limited_by, self._turn = limited_by, turn
        if not turn:
            self._freed()

    async def _reload(self) -> bool:
        """The commit did not count: either somebody else has it, or an earlier try of it was committed."""
        fresh = await machines.get_held(self._context.db, *self.key, self._owner, self.machine.fence)
        if fresh is None:
            _log.info("%s %s: moved on without this worker", self.machine.kind, self.machine.id)
            return False
        # What an earlier try answered may still come, if it was read before.
        self._answered.update(self._mail.keys() - {request.id for request in fresh.mail})
        self.machine = fresh.machine
        self._deadline = self._moment(fresh.remaining)
        self._mail = {request.id: request for request in fresh.mail}
        self._turn_is(fresh.limited_by, fresh.turn)
        return True


class _Interrupted(Exception):
    """Mail came, or the deadline, while the act was under way."""


class _Again(Stay):
    """A try that failed: the attempt counts."""


class _Waiting(Stay):
    """It cannot act without a turn: nothing was tried."""
