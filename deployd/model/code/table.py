"""One line of the table of codes."""

from __future__ import annotations

from dataclasses import dataclass

from deployd.model.reason import Fault, SubjectKind

__all__ = ["CHANGE", "DEPLOYMENT", "ERRORED", "FAILED", "RESOURCE", "RUN", "SERVICE", "WORLD", "Code"]

SERVICE, DEPLOYMENT, CHANGE = SubjectKind.SERVICE, SubjectKind.DEPLOYMENT, SubjectKind.CHANGE
RESOURCE, RUN, WORLD = SubjectKind.RESOURCE, SubjectKind.RUN, SubjectKind.WORLD
FAILED, ERRORED = Fault.FAILED, Fault.ERRORED


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means, wherever it is met."""

    code: str
    meaning: str
    remedy: str
    """What to do, in the imperative; a reason's own remedy is more exact."""
    about: tuple[SubjectKind, ...] = ()
    """The kinds of objects that it is said of; none: any."""
    fault: Fault | None = FAILED
    """None: nothing is wrong, it is news; or it depends on what was asked."""
    error: bool = False
    """It is raised, so that an answer may have it as well as a reason."""
