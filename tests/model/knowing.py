"""What processes and their holders know, changed by one thing that happened."""

from __future__ import annotations

from datetime import timedelta

from deployd.engine.lease import Lease
from tests.model.canonical import mentioned
from tests.model.statements import Ran
from tests.model.tables import TICK
from tests.model.values import FAR, SILENCE, Held, Mail, Node, Process, Row, Task, Turn


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


def later_rows(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """A tick later. How long one has waited for its turn matters to its deadline only, and is added to that.
    So a tick is as good as several, and where no deadline comes near, none as good as one.
    """
    longest = 0 if all(row.deadline in (None, FAR) for row in rows) else -1
    turns = {row.turn: max(row.turn.at - 1, longest) for row in rows if row.turn is not None}
    places = {
        turn: sorted(other for other in turns if turns[other] == at).index(turn) for turn, at in turns.items()
    }
    return tuple(
        row._replace(
            due=sooner(row.due),
            deadline=row.deadline if row.is_waiting else sooner(row.deadline),
            turn=row.turn and Turn(turns[row.turn], places[row.turn]),
        )
        for row in rows
    )


def claimed_anew(processes: tuple[Process, ...], taken: set[str]) -> tuple[Process, ...]:
    """What others believe of these machines is old from now on."""

    def aged(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        return tuple(task._replace(stale=task.stale or task.held.name in taken) for task in tasks)

    return tuple(one._replace(tasks=aged(one.tasks), orphans=aged(one.orphans)) for one in processes)


def unknown(process: Process, taken: set[str]) -> Process:
    """Mail of these machines goes to whoever holds them now."""
    return process._replace(
        tasks=tuple(task._replace(known=task.known and task.held.name not in taken) for task in process.tasks)
    )


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
