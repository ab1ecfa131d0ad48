"""What an act, or the answer to a request, comes to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from deployd.engine.context import Context
from deployd.model.facts import Facts
from deployd.model.machine import Machine, Request
from deployd.model.reason import Reason
from deployd.model.state import MachineKind
from deployd.store.commit import Birth, Post

__all__ = ["Act", "Acts", "Answer", "Answers", "Go", "Outcome", "Stay"]


@dataclass(frozen=True, slots=True)
class Go:
    """Fire a trigger of the machine's table."""

    trigger: str
    facts: Facts | None = None
    """What the machine knows from now on; None: as before."""
    births: Sequence[Birth] = ()
    posts: Sequence[Post] = ()
    reason: Reason | None = None
    """Recorded with the transition."""
    deadline: timedelta | None = None
    """Of the new state, where it shall be shorter than the table's."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing moved: look again after so long (zero: at once), or at the state's re-check."""

    after: timedelta | None = None
    facts: Facts | None = None
    births: Sequence[Birth] = ()
    posts: Sequence[Post] = ()


Outcome = Go | Stay

Act = Callable[[Context, Machine], Awaitable[Outcome]]
"""What is done in a state. Idempotent, and safe to cancel at every await: it is repeated as a whole."""
Answer = Callable[[Context, Machine, Request], Awaitable[Outcome]]
"""What becomes of a request. `Stay()` ignores it."""

Acts = Mapping[tuple[MachineKind, str], Act]
"""By kind and the act's name in the table."""
Answers = Mapping[MachineKind, Answer]
