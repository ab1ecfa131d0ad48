"""What the present task works at: the machine of an act, or a request; so that logs and traces can say it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from deployd.model.facts import ChangeFacts, DeploymentFacts, Facts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind

__all__ = ["ACTING", "ASKING", "WORLDS", "Asking", "Subject", "change_of", "name_of", "trace_of"]


@dataclass(slots=True)
class Asking:
    """One HTTP request."""

    trace_id: str
    """32 hexadecimal digits: the caller's own, where it sent one."""
    span_id: str
    """16 of them: of the span that is the request."""
    parent_id: str | None = None
    """Of the caller's span."""
    sampled: bool = True
    name: str = "request"
    """What is asked for, once that is known."""

    @property
    def traceparent(self) -> str:
        """As W3C's Trace Context writes it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


ACTING: ContextVar[Callable[[], Machine] | None] = ContextVar("deployd_acting", default=None)
"""Tells the machine that this task holds, as it is now."""
ASKING: ContextVar[Asking | None] = ContextVar("deployd_asking", default=None)
WORLDS: dict[int, str] = {}
"""The names of all worlds, as they were last read."""


class Subject(Protocol):
    """A machine, or one that is about to be."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def kind(self) -> MachineKind:
        """What it is."""

    @property
    def change_id(self) -> UUID | None:
        """The change that made it."""

    @property
    def facts(self) -> Facts:
        """What it knows."""


def name_of(one: Subject) -> str | None:
    """What people know it as: for a deployment its service."""
    facts = one.facts
    if isinstance(facts, DeploymentFacts):
        return facts.service
    return None if isinstance(facts, ChangeFacts) else facts.name


def change_of(one: Subject) -> UUID | None:
    """The change that it belongs to."""
    return one.id if one.kind is MachineKind.CHANGE else one.change_id


def trace_of(one: Subject) -> UUID | None:
    """Its trace, whose id is that of its change; an attempt that belongs to none is one of its own."""
    return one.change_id or one.id if one.kind is MachineKind.DEPLOYMENT else change_of(one)
