"""What processes and their holders know, changed by one thing that happened."""

from __future__ import annotations

from datetime import timedelta

from deployd.engine.lease import Lease
from tests.model.canonical import mentioned
from tests.model.statements import NEW, TICK, Ran
from tests.model.values import FAR, SILENCE, Held, Mail, Node, Process, Task


def renumbered(ran: Ran):  # type: ignore[no-untyped-def]
    first = min((one.id for one in ran.after.mail if one.id >= NEW), default=NEW)
    return tuple(one._replace(id=one.id - first + NEW) if one.id >= NEW else one for one in ran.after.mail)


def is_lease_good(age: int) -> bool:
    """What the real lease says so many ticks after its renewal."""
    lease = Lease(timedelta(hours=SILENCE))
    lease.renew(lease.now())
    lease._renewed -= age * TICK.total_seconds()
    return lease.held


def sooner(left: int | None) -> int | None:
    return left if left is None or left >= FAR else max(0, left - 1)


def counted(label: str, ran: Ran) -> str:
    came = ", ".join(f"{one.machine}: {one.trigger} → {one.to_state}" for one in ran.news)
    counted = any(one is not None for one in ran.answer)
    return f"{label}: {came or ('nothing moved' if counted else 'it does not count')}"


def with_process(node: Node, at: int, process: Process) -> tuple[Process, ...]:
    return (*node.processes[:at], process, *node.processes[at + 1 :])


def with_event(process: Process, number: int, event: tuple[str, object]) -> Process:
    task = process.tasks[number]
    told = task._replace(held=task.held._replace(events=(*task.held.events, event)))
    return process._replace(tasks=(*process.tasks[:number], told, *process.tasks[number + 1 :]))


def answered(process: Process, number: int, answer: object) -> Process:
    return with_event(process, number, ("said", answer))


def told(held: Held, fence: int, mail: Mail) -> Held:
    if all(id_ in mentioned(held) for id_, _ in mail):
        return held
    return held._replace(events=(*held.events, ("mail" if fence == held.fence else "old mail", mail)))


def aged(tasks: tuple[Task, ...], taken: set[str]) -> tuple[Task, ...]:
    return tuple(task._replace(stale=task.stale or task.held.name in taken) for task in tasks)


def aged_mail(
    reading: tuple[tuple[str, int, Mail], ...] | None, ran: Ran
) -> tuple[tuple[str, int, Mail], ...] | None:
    rose = {name: fence for name, _, fence in ran.risen}
    return reading and tuple(
        (name, max(-1, fence - rose.get(name, 0)), mail) for name, fence, mail in reading
    )


def orphaned(task: Task) -> Task:
    return task._replace(known=False, held=task.held._replace(answered=()))


def is_alarmed(held: Held) -> bool:
    return held.expired or any(event == "alarm" for event, _ in held.events)
