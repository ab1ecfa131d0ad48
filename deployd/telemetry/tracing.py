"""A change is one trace. Ids of traces and spans derive from those of machines, so that every process agrees.

The trace's id is the change's: whoever knows one knows the other. A span is told once it is over, with its
beginning, so that nothing has to be kept in memory while it lasts, and restarts lose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from deployd.model.identifier import derived_id
from deployd.telemetry.subject import Asking, trace_of

__all__ = ["Tracer", "machine_key", "span_id", "state_key", "trace_of"]


class Tracer(Protocol):
    """Where spans are told. Cheap: they are sent from elsewhere, in batches."""

    def span(
        self,
        name: str,
        *,
        trace: UUID,
        key: str | None = None,
        parent: str | None,
        start: int,
        end: int,
        attributes: Mapping[str, str | int],
        error: str | None = None,
        link: str | None = None,
    ) -> None:
        """A span that is over. `key` and `parent` give its id and its parent's; no key: any id.

        `start` and `end` are nanoseconds of Unix time; `link` is the traceparent of what asked for it.
        """
        ...

    def ask(self, headers: Mapping[str, str]) -> Asking:
        """An HTTP request begins: in its caller's trace, where the headers name one."""
        ...

    def asked(self, asking: Asking, *, start: int, end: int, status: int) -> None:
        """It is over."""
        ...


def machine_key(machine_id: UUID) -> str:
    """Of the span that is all of a change, or of a deployment."""
    return str(machine_id)


def state_key(machine_id: UUID, state: str) -> str:
    """Of the span that is one state of it. No table of theirs leads to a state twice."""
    return f"{machine_id}/{state}"


def span_id(key: str) -> int:
    """64 bits, never 0."""
    return derived_id("span", key).int >> 64 or 1
