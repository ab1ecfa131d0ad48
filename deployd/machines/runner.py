"""The one runner: a `transitions` machine for each table, built at import.

Invariant: a state changes only along a row of its table; whatever else is asked raises
`IllegalTransition`. No model is ever registered, no `to_*` shortcut exists and no callback does
anything, so nothing can happen between the check and its answer.
"""

from __future__ import annotations

from transitions import Machine, MachineError

from deployd.errors import IllegalTransition
from deployd.machines.table import State, Table

__all__ = ["Runner"]


class _Position:
    """What `transitions` needs of a model: a place to keep the state."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


class Runner:
    """Moves positions along one table. Safe to share: it keeps nothing but answers."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.states: dict[str, State] = {str(state.name): state for state in table.states}
        self.limited: frozenset[str] = frozenset(str(one) for one in table.limited)
        self._fired: dict[tuple[str, str], State] = {}
        self._machine = Machine(
            model=None,
            states=list(self.states),
            transitions=[
                {"trigger": row.trigger, "source": [str(one) for one in row.sources], "dest": str(row.target)}
                for row in table.rows
            ],
            initial=str(table.states[0].name),
            auto_transitions=False,
        )

    def allows(self, trigger: str, source: str) -> bool:
        """Whether the table has a row for this trigger in this state."""
        event = self._machine.events.get(trigger)
        return event is not None and source in event.transitions

    def fire(self, trigger: str, source: str) -> State:
        """The state that the trigger leads to. Raises IllegalTransition where no row says so."""
        known = self._fired.get((trigger, source))
        if known is not None:  # asked once already; without callbacks the answer cannot change
            return known
        event = self._machine.events.get(trigger)
        if event is None or source not in self.states:
            raise IllegalTransition(f"a {self.table.kind} has no trigger {trigger!r} in state {source!r}")
        position = _Position(source)
        try:
            moved = event.trigger(position)
        except MachineError as error:
            raise IllegalTransition(f"a {self.table.kind} in state {source!r} cannot {trigger!r}") from error
        if not moved:
            raise IllegalTransition(f"{trigger!r} left a {self.table.kind} in state {source!r}")
        state = self._fired[trigger, source] = self.states[position.state]
        return state
