"""Equal situations as equal values: mail numbered by its order, workers by how often theirs began anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.values import Held, Mail, Node, Peer, Process, Row, Tables, Task


def shifted(tasks: tuple[Task, ...], risen: tuple[tuple[str, int, int], ...]) -> tuple[Task, ...]:
    """What holders know, against rows whose version or fence rose."""
    for name, version, fence in risen:
        tasks = tuple(
            task
            if task.held.name != name
            else task._replace(
                held=task.held._replace(
                    version=max(-1, task.held.version - version), fence=max(-1, task.held.fence - fence)
                )
            )
            for task in tasks
        )
    return tasks


def canonical(node: Node) -> Node:
    """The one value of all that differ from it in names only."""
    node = _numbered(_forgotten(node))
    ids = sorted(_mentioned(node))
    if ids and ids[-1] != len(ids):
        node = _renamed(node, dict(zip(ids, range(1, len(ids) + 1), strict=True)))
    return node


def _forgotten(node: Node) -> Node:
    """Without what nobody can be told any more: answered mail, dead workers that hold nothing; and without
    the order in which a process came to hold its machines.
    """
    processes = tuple(map(_ordered, node.processes))
    if any(task.held.answered for process in processes for task in process.tasks):
        there = {one.id for one in node.tables.mail}
        for process in processes:
            for _, _, mail in process.reading or ():
                there.update(id_ for id_, _ in mail)
        processes = tuple(
            process._replace(tasks=tuple(_without(task, there) for task in process.tasks))
            for process in processes
        )
    tables = node.tables
    if any(one.dead for one in tables.workers):
        used = {row.owner for row in tables.machines} | {process.worker for process in processes}
        workers = tuple(
            Peer(one.name, 0, True) if one.dead else one
            for one in tables.workers
            if not one.dead or one.name in used
        )
        tables = Tables(tables.machines, tables.mail, workers)
    return Node(tables, processes, node.posts, node.faults, node.made)


def _ordered(process: Process) -> Process:
    if len(process.tasks) < 2:
        return process
    return process._replace(tasks=tuple(sorted(process.tasks, key=_machine)))


def _machine(task: Task) -> str:
    return task.held.name


def _without(task: Task, there: set[int]) -> Task:
    answered = task.held.answered
    if all(one in there for one in answered):
        return task
    return task._replace(held=task.held._replace(answered=tuple(one for one in answered if one in there)))


def _numbered(node: Node) -> Node:
    """Workers of a process from 0, without a gap."""
    used = {row.owner for row in node.tables.machines}
    used.update(one.name for one in node.tables.workers)
    for process in node.processes:
        used.add(process.worker)
        used.update(task.held.owner for task in process.tasks)
        used.update(task.held.owner for task in process.orphans)
    used.discard(None)
    if all(one[1:] == "0" for one in used if one):
        return node
    numbers: dict[str, list[int]] = {}
    for one in used:
        if one:
            numbers.setdefault(one[0], []).append(int(one[1:]))
    names = {
        f"{process}{old}": f"{process}{new}"
        for process, them in numbers.items()
        for new, old in enumerate(sorted(them))
        if new != old
    }
    if not names:
        return node

    def renamed(task: Task) -> Task:
        return task._replace(held=task.held._replace(owner=names.get(task.held.owner, task.held.owner)))

    def row(one: Row) -> Row:
        return one if one.owner is None else one._replace(owner=names.get(one.owner, one.owner))

    return node._replace(
        tables=node.tables._replace(
            machines=tuple(map(row, node.tables.machines)),
            workers=tuple(
                sorted(one._replace(name=names.get(one.name, one.name)) for one in node.tables.workers)
            ),
        ),
        processes=tuple(
            one._replace(
                number=int(names.get(one.worker, one.worker)[1:]),
                tasks=tuple(map(renamed, one.tasks)),
                orphans=tuple(map(renamed, one.orphans)),
            )
            for one in node.processes
        ),
    )


def mentioned(held: Held) -> set[int]:
    """Mail that a holder knows of."""
    known = {id_ for id_, _ in held.mail} | set(held.answered)
    for event, said in held.events:
        if event in ("mail", "old mail"):
            known.update(id_ for id_, _ in said)
    return known


def _mentioned(node: Node) -> set[int]:
    ids = {one.id for one in node.tables.mail}
    for process in node.processes:
        for task in (*process.tasks, *process.orphans):
            held = task.held
            if held.mail or held.answered or held.events:
                ids |= mentioned(held)
        for _, _, mail in process.reading or ():
            ids.update(id_ for id_, _ in mail)
    return ids


def _renamed(node: Node, names: dict[int, int]) -> Node:
    def mail(before: Mail) -> Mail:
        return tuple((names[id_], trigger) for id_, trigger in before)

    def event(one: tuple[str, Any]) -> tuple[str, Any]:
        return (one[0], mail(one[1])) if one[0] in ("mail", "old mail") else one

    def task(one: Task) -> Task:
        held = one.held
        return one._replace(
            held=held._replace(
                mail=mail(held.mail),
                answered=tuple(names[id_] for id_ in held.answered),
                events=tuple(map(event, held.events)),
            )
        )

    def process(one: Process) -> Process:
        reading = one.reading and tuple((name, fence, mail(read)) for name, fence, read in one.reading)
        return one._replace(tasks=_each(task, one.tasks), orphans=_each(task, one.orphans), reading=reading)

    letters = tuple(one._replace(id=names[one.id]) for one in node.tables.mail)
    return node._replace(
        tables=node.tables._replace(mail=letters), processes=tuple(map(process, node.processes))
    )


def _each(change: Callable[[Task], Task], tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    return tuple(map(change, tasks))
