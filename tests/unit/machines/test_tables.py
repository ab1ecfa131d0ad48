"""Every state and trigger pair of every table, and that what is derived from the tables is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from deployd.engine.acts import ACTS, ANSWERS
from deployd.errors import IllegalTransition
from deployd.machines import RUNNERS, TABLES, Row, State, Table
from deployd.machines.diagram import check_expression, mermaid, page
from deployd.model.state import ChangeState, DeploymentState, MachineKind, ResourceState, ServiceState

ROOT = Path(__file__).parents[3]
STATES = {
    MachineKind.SERVICE: ServiceState,
    MachineKind.DEPLOYMENT: DeploymentState,
    MachineKind.RESOURCE: ResourceState,
    MachineKind.CHANGE: ChangeState,
}
PAIRS = [
    pytest.param(kind, trigger, str(state.name), id=f"{kind}-{state.name}-{trigger}")
    for kind, table in TABLES.items()
    for state in table.states
    for trigger in table.triggers
]


@pytest.mark.parametrize(("kind", "trigger", "source"), PAIRS)
def test_every_pair_goes_where_the_table_says_or_is_refused(
    kind: MachineKind, trigger: str, source: str
) -> None:
    expected = TABLES[kind].target(trigger, source)
    assert RUNNERS[kind].allows(trigger, source) == (expected is not None)
    if expected is None:
        with pytest.raises(IllegalTransition):
            RUNNERS[kind].fire(trigger, source)
    else:
        assert RUNNERS[kind].fire(trigger, source).name == expected


@pytest.mark.parametrize("kind", list(MachineKind))
def test_unknown_triggers_states_and_shortcuts_are_refused(kind: MachineKind) -> None:
    first = str(TABLES[kind].states[0].name)
    for trigger, source in (
        ("nonsense", first),
        (TABLES[kind].triggers[0], "nonsense"),
        (f"to_{first}", first),
    ):
        with pytest.raises(IllegalTransition):
            RUNNERS[kind].fire(trigger, source)


@pytest.mark.parametrize("kind", list(MachineKind))
def test_the_table_has_every_state_and_all_can_be_reached(kind: MachineKind) -> None:
    table = TABLES[kind]
    assert [state.name for state in table.states] == list(STATES[kind])
    reached = {table.states[0].name}
    while True:
        more = {row.target for row in table.rows if reached & set(row.sources)} - reached
        if not more:
            break
        reached |= more
    assert reached == set(STATES[kind])


@pytest.mark.parametrize("kind", list(MachineKind))
def test_nothing_can_stay_stuck(kind: MachineKind) -> None:
    """Where work is done there is an act, and a deadline or a settled state to rest in."""
    for state in TABLES[kind].states:
        if state.final:
            assert state.act is None
            assert state.settled
            continue
        if state.act is not None:
            assert (kind, state.act) in ACTS
            assert state.recheck is not None
        rests = state.settled or state.name == ServiceState.DEPLOYING  # its deployment has the deadlines
        assert state.deadline is not None or rests
    assert kind in ANSWERS


def test_a_table_that_contradicts_itself_is_refused() -> None:
    hour = timedelta(hours=1)
    final = State(ChangeState.DONE, settled=True, final=True)
    for states, rows in (
        ((State(ChangeState.RECEIVED), final), ()),  # no way out, and not final
        (
            (State(ChangeState.RECEIVED, deadline=hour), final),
            (Row("go", (ChangeState.RECEIVED,), ChangeState.DONE),),
        ),
        (
            (State(ChangeState.RECEIVED), final),
            (
                Row("go", (ChangeState.RECEIVED,), ChangeState.DONE),
                Row("go", (ChangeState.RECEIVED,), ChangeState.RECEIVED),
            ),
        ),
        (
            (State(ChangeState.RECEIVED, act="x"), final),
            (Row("go", (ChangeState.RECEIVED,), ChangeState.DONE),),
        ),
        ((final, final), ()),
        ((State(ChangeState.RECEIVED), final), (Row("go", (ChangeState.RECEIVED,), ChangeState.FAILED),)),
    ):
        with pytest.raises(ValueError, match="change"):
            Table(MachineKind.CHANGE, states, rows)


def test_the_database_checks_what_the_tables_say() -> None:
    texts = [" ".join(path.read_text().split()) for path in sorted((ROOT / "migrations").iterdir())]
    latest = next(text for text in reversed(texts) if "constraint machines_state check (" in text)
    assert check_expression(TABLES.values()) in latest


def test_the_diagram_shows_every_row() -> None:
    for table in TABLES.values():
        text = mermaid(table)
        for row in table.rows:
            for source in row.sources:
                arrow = next(line for line in text.splitlines() if f"{source} --> {row.target}:" in line)
                assert row.trigger in arrow
    assert all(f"## {kind.capitalize()}" in page(TABLES.values()) for kind in MachineKind)
