"""The tables as text: Mermaid state diagrams for docs/states.md, and the database's CHECK."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from deployd.machines import TABLES
from deployd.machines.table import Table

__all__ = ["check_expression", "mermaid", "page"]

_PREFACE = """# States

Every service, deployment, resource and change is a persistent finite state machine. This page is
generated from the tables in `deployd/machines/` by `make docs`; CI fails when it differs.

A state with a deadline cannot outlast it: `expire` fires. A state with an act is looked at again at
least after its re-check, whether or not anything woke it. What *takes a turn* waits for one where its
capability has a limit; that time does not count against the deadline.
"""


def mermaid(table: Table) -> str:
    """A Mermaid `stateDiagram-v2` of the table (https://mermaid.js.org/syntax/stateDiagram.html)."""
    lines = ["stateDiagram-v2", f"    [*] --> {table.states[0].name}"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        for source in row.sources:
            arrows.setdefault((source, row.target), []).append(row.trigger)
    lines += [
        f"    {source} --> {target}: {', '.join(triggers)}" for (source, target), triggers in arrows.items()
    ]
    lines += [f"    {state.name} --> [*]" for state in table.states if state.final]
    return "\n".join(lines)


def page(tables: Iterable[Table]) -> str:
    """docs/states.md: for each kind its diagram, and its states with act, deadline and re-check."""
    parts = [_PREFACE]
    for table in tables:
        parts.append(f"## {table.kind.capitalize()}\n\n```mermaid\n{mermaid(table)}\n```\n")
        rows = ["| state | act | deadline | re-check | |", "| --- | --- | --- | --- | --- |"]
        for state in table.states:
            remark = "final" if state.final else "settled" if state.settled else ""
            remark = "takes a turn" if state.name in table.limited else remark
            cells = (f"`{state.name}`", state.act or "", state.deadline or "", state.recheck or "", remark)
            rows.append(f"| {' | '.join(str(cell) for cell in cells)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def check_expression(tables: Iterable[Table]) -> str:
    """The SQL condition that holds for every row of `machines`: its state is one of its kind's."""
    return " or ".join(
        f"kind = '{table.kind}' and state in ({', '.join(repr(str(state.name)) for state in table.states)})"
        for table in tables
    )


def main(arguments: list[str]) -> int:
    """Print docs/states.md; with `--check FILE` say whether FILE is current (exit status 1: it is not)."""
    text = page(TABLES.values())
    if arguments[:1] == ["--check"]:
        if Path(arguments[1]).read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{arguments[1]} is not what the tables say: run `make docs`\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
