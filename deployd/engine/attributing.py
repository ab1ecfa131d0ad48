"""What a machine takes into its facts as a reason also says what it is about, and where that was asked for.

It happens in one place, between an act and its commit, so that whoever makes a reason need not know the
machine that takes it. Invariant: every reason of a machine has a subject.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome
from deployd.errors import DeploydError, LeaseLost, ManifestError, PostgresUnavailable, StoreError
from deployd.manifest import find
from deployd.model.code import CODES
from deployd.model.facts import ChangeFacts, DeploymentFacts, Facts, ResourceFacts, ServiceFacts, Source
from deployd.model.machine import Machine
from deployd.model.reason import Fault, Reason, Subject, SubjectKind
from deployd.store import releases

__all__ = ["attributed", "of_error"]

_log = logging.getLogger(__name__)


def of_error(error: Exception, fault: Fault, prefix: str = "") -> Reason:
    """What was raised, as a reason."""
    if isinstance(error, ManifestError):
        first, *others = (one.removeprefix(f"{error.where}: ") for one in error.problems)
        more = f" (and {len(others)} more)" if others else ""
        return Reason(
            error.code,
            f"{prefix}the manifest is wrong: {first}{more}",
            error.message,
            error.remedy,
            fault,
            where=error.where,
        )
    if isinstance(error, DeploydError):
        return Reason(error.code, prefix + error.message, error.evidence, error.remedy, fault)
    summary = f"{prefix}{type(error).__name__}: {error}"
    return Reason("INTERNAL", summary, remedy="Look into the log.", fault=fault)


async def attributed(context: Context, machine: Machine, outcome: Outcome) -> Outcome:
    """The outcome, its reasons with subject and place. Raises PostgresUnavailable, LeaseLost, NotFound."""
    facts = outcome.facts
    if facts is not None and facts.reason is not None:
        reason = await _complete(context, machine, facts.reason)
        if reason is not facts.reason:
            facts = replace(facts, reason=reason)
    if isinstance(facts, ServiceFacts) and facts.last_run is not None and facts.last_run.reason is not None:
        run = facts.last_run.reason
        if (reason := await _complete(context, machine, run)) is not run:
            facts = replace(facts, last_run=replace(facts.last_run, reason=reason))
    if facts is not outcome.facts:
        outcome = replace(outcome, facts=facts)
    if isinstance(outcome, Go) and outcome.reason is not None:
        known = facts.reason if facts is not None and facts.reason == outcome.reason else None
        reason = known or await _complete(context, machine, outcome.reason)
        outcome = replace(outcome, reason=reason)
    return outcome


async def _complete(context: Context, machine: Machine, reason: Reason) -> Reason:
    before = machine.facts.reason
    if before is not None and before == reason and before.subject is not None:
        return before  # said before: nothing has to be looked up again
    subject = reason.subject or _subject(await _world(context, machine), machine, reason)
    where = reason.where
    if where is None and reason.key is not None:
        where = await _place(context, machine, subject, reason.key)
    if subject is reason.subject and where == reason.where:
        return reason
    return replace(reason, subject=subject, where=where)


async def _world(context: Context, machine: Machine) -> str:
    return (await context.world(machine.world_id)).name


def _subject(world: str, machine: Machine, reason: Reason) -> Subject:
    """By the table of codes: the machine itself, if it is one of those that say this, else whom it is for."""
    code = CODES.get(reason.code)
    about = code.about if code is not None else ()
    facts: Facts = machine.facts
    match facts:
        case ServiceFacts(name=name):
            return Subject(SubjectKind.RUN if about == (SubjectKind.RUN,) else SubjectKind.SERVICE, name)
        case ResourceFacts(name=name):
            return Subject(SubjectKind.RESOURCE, name)
        case DeploymentFacts(service=service):
            if about and SubjectKind.DEPLOYMENT not in about:
                return Subject(SubjectKind.SERVICE, service)
            return Subject(SubjectKind.DEPLOYMENT, str(machine.id))
        case ChangeFacts():
            if about == (SubjectKind.WORLD,):
                return Subject(SubjectKind.WORLD, world)
            return Subject(SubjectKind.CHANGE, str(machine.id))


async def _place(context: Context, machine: Machine, subject: Subject, key: str) -> str | None:
    """Where the manifest says it; None where it does not, or is not there to be looked at."""
    source, service = await _source(context, machine), _service(machine, subject)
    if source is None or source.tree is None or service is None:
        return None
    try:
        manifest = find(await context.tree(source.tree), world=await _world(context, machine))
    except (LeaseLost, StoreError, PostgresUnavailable):
        raise
    except (DeploydError, OSError) as error:  # a reason without its place is better than none
        _log.info("%s %s: no place for %s: %s", machine.kind, machine.id, key, error)
        return None
    return manifest.place(service, key)


def _service(machine: Machine, subject: Subject) -> str | None:
    match machine.facts:
        case ServiceFacts(name=name) | DeploymentFacts(service=name):
            return name
        case _:
            return subject.name if subject.kind is SubjectKind.SERVICE else None


async def _source(context: Context, machine: Machine) -> Source | None:
    match machine.facts:
        case DeploymentFacts(source=source) | ChangeFacts(source=source):
            return source
        case ServiceFacts(serving=serving) if serving is not None:
            release = await releases.get(context.db, machine.world_id, serving)
            return None if release is None else release.source
        case _:
            return None
