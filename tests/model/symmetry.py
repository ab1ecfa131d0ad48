"""Situations that differ in names only: what one worker does another might as well do, and likewise jobs.

No statement, act or rule looks at a name but to tell it from another one. So whatever may happen in a
situation may happen in its twin, with the names exchanged, and what holds there holds here: to
see one is to see both. Where a statement would have to choose between two that are alike to it
(both began to wait for a turn at once), either is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

from tests.model.values import Node, Process, Row, Task, Turn


def twins(node: Node) -> list[Node]:
    """The others that are like it. Jobs are alike once nothing is posted to the first one any more."""
    workers = [one.name for one in node.processes]
    jobs = [] if node.posts else [row.name for row in node.tables.machines if row.name in "MNO"]
    found = []
    for chosen in permutations(workers):
        for other in permutations(jobs):
            names = dict(zip((*workers, *jobs), (*chosen, *other), strict=True))
            if any(one != new for one, new in names.items()):
                found.append(_exchanged(node, names))
    return found


def _exchanged(node: Node, names: Mapping[str, str]) -> Node:
    def worker(one: str) -> str:
        return names[one[0]] + one[1:]

    def job(one: str) -> str:
        return names.get(one, one)

    def task(one: Task) -> Task:
        return one._replace(held=one.held._replace(name=job(one.held.name), owner=worker(one.held.owner)))

    def row(one: Row) -> Row:
        return one._replace(
            name=job(one.name),
            owner=one.owner and worker(one.owner),
            waiters=tuple(map(job, one.waiters)),
        )

    def process(one: Process) -> Process:
        return one._replace(
            name=names[one.name],
            tasks=tuple(sorted(map(task, one.tasks), key=_machine)),
            orphans=tuple(map(task, one.orphans)),
            reading=one.reading
            and tuple(sorted((job(name), fence, mail) for name, fence, mail in one.reading)),
            taking=one.taking and tuple(sorted(map(job, one.taking))),
        )

    tables = node.tables
    return node._replace(
        tables=tables._replace(
            machines=tuple(sorted(map(row, tables.machines), key=lambda one: one.name)),
            mail=tuple(one._replace(machine=job(one.machine)) for one in tables.mail),
            workers=tuple(sorted(one._replace(name=worker(one.name)) for one in tables.workers)),
        ),
        processes=tuple(sorted(map(process, node.processes), key=lambda one: one.name)),
        made=frozenset(map(job, node.made)),
    )


def _machine(task: Task) -> str:
    return task.held.name


def untied(node: Node) -> list[Node]:
    """Where two began to wait for a turn in one statement: either may have come first."""
    turns = [row.turn for row in node.tables.machines if row.turn is not None]
    if len(set(turns)) == len(turns):
        return [node]
    rows = node.tables.machines
    waiting = [at for at, row in enumerate(rows) if row.turn is not None]
    found = []
    for order in permutations(waiting):
        asked = [rows[at].turn for at in order]
        if asked != sorted(asked):  # type: ignore[type-var]
            continue
        changed, places = list(rows), dict[int, int]()
        for at in order:
            turn = rows[at].turn
            assert turn is not None
            place = places[turn.at] = places.get(turn.at, -1) + 1
            changed[at] = rows[at]._replace(turn=Turn(turn.at, place))
        found.append(node._replace(tables=node.tables._replace(machines=tuple(changed))))
    return found
