"""The one plain reason: what failed, on which object, the evidence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Fault", "Reason", "Subject", "SubjectKind"]


class Fault(StrEnum):
    """Who said no: the work (`failed`), or the machinery that should have done it (`errored`)."""

    FAILED = "failed"
    ERRORED = "errored"


class SubjectKind(StrEnum):
    """What a reason can be about."""

    WORLD = "world"
    SERVICE = "service"
    DEPLOYMENT = "deployment"
    CHANGE = "change"
    RESOURCE = "resource"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that a reason is about."""

    kind: SubjectKind
    name: str
    """By which people ask for it: a name, or the id of what has none (a deployment, a change)."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is, on itself; the only place where a failure is explained."""

    code: str
    """Stable, in capitals with underscores; programs compare it."""
    summary: str
    """One sentence: what failed, on which object."""
    evidence: str = ""
    """What was seen: an exit status, the last log lines, an event. May have several lines."""
    remedy: str = ""
    """What to do about it, in the imperative."""
    fault: Fault = Fault.FAILED
    # What follows is found out once a machine takes the reason, so two that differ in it alone are the same.
    key: str | None = field(default=None, compare=False)
    """The key of the manifest that it is about, below its service: `scale`, `env.KEY`; empty: all of it."""
    subject: Subject | None = field(default=None, compare=False)
    """The object that it is about; every reason that a machine has says so."""
    where: str | None = field(default=None, compare=False)
    """`file:line:column` in the source tree (a Dockerfile: `file:line`); None where no file says it."""
