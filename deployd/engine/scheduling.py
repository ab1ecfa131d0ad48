"""When a service with a schedule runs, and what became of its runs: times in UTC, one run at a time.

A due time is taken by the commit that moves `next_run_at` beyond it, before the driver hears of it; the
run's id derives from it. So none runs twice, and of those that nobody was there for only the latest runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cronsim import CronSim, CronSimError

from deployd.drivers.api import Failed, Progress, TaskSpec, Wait
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.errors import Denied, InputError, Terminal
from deployd.model.facts import Run, ServiceFacts
from deployd.model.identifier import derived_id
from deployd.model.reason import Fault, Reason
from deployd.model.state import Health

__all__ = [
    "RUN_TIMEOUT",
    "Runner",
    "begin_now",
    "forget_times",
    "keep_schedule",
    "last_due",
    "next_due",
    "schedule_problem",
    "scheduled",
]

RUN_TIMEOUT = timedelta(hours=24)
"""After which a run is ended, and has failed."""
_ENDING = timedelta(hours=1)  # beyond it, for the driver to have ended it
_LOOK = timedelta(minutes=5)  # at least so often, whatever the clock did
_LATER = 0.1  # of the time that a run took already: when to look at it again, at most `_SLOWEST`
_SLOWEST = timedelta(seconds=5)
_NO_FAILURES = ("RUN_SUCCEEDED", "RUN_CANCELLED")


def schedule_problem(schedule: str) -> str | None:
    """What is wrong with it; None where it names times to come."""
    try:
        next_due(schedule, datetime.now(UTC))
    except CronSimError as error:
        return str(error)
    except StopIteration:
        return "it never comes"
    return None


def next_due(schedule: str, after: datetime) -> datetime:
    """The first due time after this one. Raises CronSimError, StopIteration."""
    return next(CronSim(schedule, after))


def last_due(schedule: str, until: datetime) -> datetime:
    """The last due time up to this one."""
    return next(CronSim(schedule, until + timedelta(microseconds=1), reverse=True))


def scheduled(facts: ServiceFacts, schedule: str | None) -> ServiceFacts:
    """What a service that serves a new release knows: the same schedule goes on, another one begins now."""
    if schedule is None:
        return replace(facts, schedule=None, next_run_at=None)
    same = facts.schedule == schedule and facts.next_run_at is not None
    due = facts.next_run_at if same else next_due(schedule, datetime.now(UTC))
    return replace(facts, schedule=schedule, next_run_at=due)


def begin_now(facts: ServiceFacts, task_id: UUID) -> ServiceFacts:
    """It runs now, because somebody wants it to, and at its next due time as well."""
    assert facts.serving is not None
    return replace(facts, run=Run(task_id, facts.serving, datetime.now(UTC)))


def forget_times(facts: ServiceFacts) -> ServiceFacts:
    """It is stopped: no time is due, and what ran was ended by that."""
    if facts.run is not None:
        reason = Reason("RUN_CANCELLED", f"a run of {facts.name} was ended, since the service was stopped")
        facts = replace(
            facts, run=None, last_run=replace(facts.run, ended_at=datetime.now(UTC), reason=reason)
        )
    return replace(facts, next_run_at=None)


class Runner:
    """What can be done about a run; each may raise LeaseLost, DriverError, InputError."""

    def __init__(
        self,
        run: Callable[[UUID, TaskSpec], Awaitable[Progress]],
        end: Callable[[UUID], Awaitable[Progress]],
    ) -> None:
        self.run = run
        """A task of this release."""
        self.end = end
        """The task of this id."""


async def keep_schedule(service_id: UUID, facts: ServiceFacts, runner: Runner, now: datetime) -> Outcome:
    """Serving: follow the run that is under way, or begin the one that is due."""
    if facts.run is not None:
        return await _follow(facts, facts.run, runner, now)
    schedule, serving = facts.schedule, facts.serving
    assert schedule is not None
    assert serving is not None
    if (health := _health(facts)) is not facts.health:
        reason = Reason("HEALTH_CHANGED", f"service {facts.name}: {facts.health} → {health}")
        return Go("report", facts=replace(facts, health=health), reason=reason)
    if facts.next_run_at is None:
        facts = replace(facts, next_run_at=next_due(schedule, now))
        return Stay(after=timedelta(), facts=facts)
    if facts.next_run_at > now:
        return Stay(after=min(facts.next_run_at - now, _LOOK))
    due = last_due(schedule, now)
    run = Run(derived_id(service_id, "run", due.isoformat()), serving, now)
    return Stay(after=timedelta(), facts=replace(facts, run=run, next_run_at=next_due(schedule, now)))


async def _follow(facts: ServiceFacts, run: Run, runner: Runner, now: datetime) -> Outcome:
    overdue = now - run.at > RUN_TIMEOUT + _ENDING
    if run.cancelled_by is not None or facts.schedule is None or overdue:
        progress = await runner.end(run.task_id)
        if isinstance(progress, Wait):
            return Stay(after=timedelta(seconds=progress.seconds))
        if overdue:
            summary = f"a run of {facts.name} did not come to its end in time"
            return _conclude(facts, run, Reason("DEADLINE_PASSED", summary, fault=Fault.ERRORED), now)
        by = f"by {run.cancelled_by}" if run.cancelled_by else "since the service has no schedule any more"
        return _conclude(facts, run, Reason("RUN_CANCELLED", f"a run of {facts.name} was ended {by}"), now)
    task = TaskSpec(run.task_id, "schedule", None, RUN_TIMEOUT.total_seconds())
    try:
        progress = await runner.run(run.release_id, task)
    except (Terminal, Denied, InputError) as error:
        reason = Reason(error.code, error.message, error.evidence, error.remedy, Fault.ERRORED)
        return _conclude(facts, run, reason, now)
    if isinstance(progress, Failed):
        return _conclude(facts, run, progress.reason, now)
    if isinstance(progress, Wait):
        if facts.next_run_at is not None and facts.next_run_at <= now:
            summary = f"{facts.name} was due, but its run of {_shown(run.at)} was still under way"
            later = replace(facts, next_run_at=next_due(facts.schedule, now))
            return Go("report", facts=later, reason=Reason("RUN_SKIPPED", summary))
        return Stay(after=min(max(timedelta(seconds=progress.seconds), (now - run.at) * _LATER), _SLOWEST))
    done = Reason("RUN_SUCCEEDED", f"the run of {facts.name} of {_shown(run.at)} succeeded")
    return _conclude(facts, run, done, now)


def _conclude(facts: ServiceFacts, run: Run, reason: Reason, now: datetime) -> Go:
    """The run has ended, and `reason` is how."""
    facts = replace(facts, run=None, last_run=replace(run, ended_at=now, reason=reason))
    if facts.schedule is not None and reason.code != "RUN_CANCELLED":
        failed = reason.code not in _NO_FAILURES
        facts = replace(facts, health=_health(facts), reason=reason if failed else None)
    return Go("report", facts=facts, reason=reason)


def _health(facts: ServiceFacts) -> Health:
    """As its release's last run ended; one that was cancelled says nothing."""
    last = facts.last_run
    if last is None or last.reason is None or last.release_id != facts.serving:
        return Health.HEALTHY
    if last.reason.code == "RUN_CANCELLED":
        return Health.DEGRADED if facts.health is Health.DEGRADED else Health.HEALTHY
    return Health.HEALTHY if last.reason.code in _NO_FAILURES else Health.DEGRADED


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
