"""Equal situations as equal values: mail numbered by its order, workers by how often theirs began anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.model.values import Held, Mail, Node, Peer, Process, Row, Task


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
    if ids == list(range(1, len(ids) + 1)):
        return node
    return _renamed(node, dict(zip(ids, range(1, len(ids) + 1), strict=True)))


def _forgotten(node: Node) -> Node:
    """Without what nobody can be told any more: answered mail, dead workers that hold nothing."""
    there = {one.id for one in node.tables.mail}
    for process in node.processes:
        for _, _, mail in process.reading or ():
            there.update(id_ for id_, _ in mail)
    processes = tuple(
        process._replace(
            tasks=tuple(
                task._replace(
                    held=task.held._replace(answered=tuple(one for one in task.held.answered if one in there))
                )
                for task in process.tasks
            )
        )
        for process in node.processes
    )
    used = {row.owner for row in node.tables.machines} | {process.worker for process in processes}
    workers = tuple(
        Peer(one.name, 0, True) if one.dead else one
        for one in node.tables.workers
        if not one.dead or one.name in used
    )
    return node._replace(tables=node.tables._replace(workers=workers), processes=processes)


def _numbered(node: Node) -> Node:
    """Workers of a process from 0, without a gap."""
    names: dict[str, str] = {}
    for process in node.processes:
        used = {process.number}
        mentioned: Iterable[str | None] = (
            *(row.owner for row in node.tables.machines),
            *(one.name for one in node.tables.workers),
            *(task.held.owner for task in (*process.tasks, *process.orphans)),
        )
        used |= {int(one[1:]) for one in mentioned if one is not None and one[0] == process.name}
        names |= {
            f"{process.name}{old}": f"{process.name}{new}"
            for new, old in enumerate(sorted(used))
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
            ids |= mentioned(task.held)
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
