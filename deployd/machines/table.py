"""What a machine is made of: states with their deadlines and acts, and rows of trigger, from, to.

A table is data. It has no callables and does no I/O; whatever is derived from it (the runner, the
database's CHECK, the diagram, the test of every pair) is derived from all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from deployd.model.state import MachineKind

__all__ = ["EXPIRE", "Row", "State", "Table"]

EXPIRE = "expire"
"""The trigger of a state whose deadline has passed."""


@dataclass(frozen=True, slots=True)
class State:
    """One state: a condition, how long it may last, and the act that works in it."""

    name: StrEnum
    act: str | None = None
    """What the engine does in this state; None where only a request moves the machine on."""
    deadline: timedelta | None = None
    """How long something may be awaited here; then the trigger `expire` fires."""
    recheck: timedelta | None = None
    """How long at most until the act looks again, whether or not anybody woke it."""
    settled: bool = False
    """Whoever waits for this machine is told when it comes here."""
    final: bool = False
    """Nothing leads out of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """`trigger` takes the machine from any of `sources` to `target`."""

    trigger: str
    sources: tuple[StrEnum, ...]
    target: StrEnum


@dataclass(frozen=True)
class Table:
    """One kind of machine. Its first state is where it is born."""

    kind: MachineKind
    states: tuple[State, ...]
    rows: tuple[Row, ...]
    limited: tuple[StrEnum, ...] = ()
    """States whose act makes a driver work: they take a turn of their capability, where that has a limit."""

    def __post_init__(self) -> None:
        """Refuse a table in which something could stay stuck; raises ValueError."""
        names = [state.name for state in self.states]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.kind}: a state is named twice")
        seen: set[tuple[str, StrEnum]] = set()
        for row in self.rows:
            for source in row.sources:
                if (row.trigger, source) in seen:
                    raise ValueError(f"{self.kind}: {row.trigger} leads from {source} to two states")
                if source not in names or row.target not in names:
                    raise ValueError(f"{self.kind}: {row.trigger} names a state that is none")
                seen.add((row.trigger, source))
        if names[0] in self.limited:
            raise ValueError(f"{self.kind}: it is born into {names[0]}, which takes a turn")
        for state in self.states:
            leaves = any(source == state.name for _, source in seen)
            if state.final == leaves:
                raise ValueError(
                    f"{self.kind}: {state.name} is final, or something leads out of it: one of both"
                )
            if (state.deadline is not None) != ((EXPIRE, state.name) in seen):
                raise ValueError(f"{self.kind}: {state.name} has a deadline and an expire row, or neither")
            if state.name in self.limited and state.act is None:
                raise ValueError(f"{self.kind}: {state.name} takes a turn and never acts")
            if state.act and state.recheck is None:
                raise ValueError(f"{self.kind}: {state.name} acts and never looks again")

    def state(self, name: str) -> State:
        """The state of this name; KeyError for a name that is none."""
        for state in self.states:
            if state.name == name:
                return state
        raise KeyError(name)

    def target(self, trigger: str, source: str) -> StrEnum | None:
        """Where the trigger leads from here; None where the table does not allow it."""
        for row in self.rows:
            if row.trigger == trigger and source in row.sources:
                return row.target
        return None

    @property
    def triggers(self) -> tuple[str, ...]:
        """Every trigger once, in the order of the rows."""
        return tuple(dict.fromkeys(row.trigger for row in self.rows))
