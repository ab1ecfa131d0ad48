"""Everything that may happen next: one statement, one message, one tick or one fault at a time.

What a process does is done in the order and with the guards of `deployd.engine.worker`; there are no hints,
so that it may claim, read its mail, beat and sweep at any moment, or never.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.model.acting import UNAVAILABLE, Actors
from tests.model.canonical import canonical, mentioned
from tests.model.claiming import Claiming
from tests.model.effects import Effects
from tests.model.knowing import (
    answered,
    counted,
    is_alarmed,
    later_rows,
    orphaned,
    sooner,
    told,
    with_event,
    with_process,
)
from tests.model.rules import check_node, is_calling
from tests.model.statements import Statements
from tests.model.values import Gate, Next, Node, Powers, Process, Task


class Network:
    """The actors and the statements together."""

    def __init__(
        self, statements: Statements, actors: Actors, powers: Powers, gate: Gate | None = None
    ) -> None:
        self._do = Effects(statements, actors, gate)
        self._claiming = Claiming(self._do, powers, gate)
        self._powers, self._gate = powers, gate

    @property
    def doing(self) -> str:
        """The statement that was run last, for a trace that ends with it."""
        return self._do.doing

    async def check(self, node: Node) -> None:
        """The rules of a state."""
        self._do.begin()
        calling = [
            (task.held, process.worker)
            for process in node.processes
            for task in process.tasks
            if process.age is not None
            and self._do.is_lease_good(process.age)
            and is_calling(await self._do.go_on(task.held))
        ]
        check_node(node, calling, self._gate)

    async def nexts(self, node: Node) -> AsyncIterator[Next]:
        """All that may happen. Raises Violation where a statement breaks a rule."""
        for at, process in enumerate(node.processes):
            async for one in self._of(node, at, process):
                yield one
        async for one in self._around(node):
            yield one

    # -- what no process does

    async def _around(self, node: Node) -> AsyncIterator[Next]:
        for name, label in (("bury", "the silent are buried"), ("release_dead", "the dead let go")):
            ran = await self._do.run(node, name)
            if ran.after != node.tables:
                yield self._do.moved(label, node, ran, node.processes)
        if node.posts:
            trigger, *others = node.posts
            ran = await self._do.run(node, "post", trigger)
            yield self._do.moved(
                f"somebody posts {trigger}", node._replace(posts=tuple(others)), ran, node.processes
            )
            if node.faults and self._powers.lost:
                again = node._replace(faults=node.faults - 1)
                yield self._do.moved(
                    f"somebody posts {trigger}, and is not answered", again, ran, node.processes, fault=True
                )
        if self._powers.time and (later := await self._tick(node)) is not None:
            yield Next("time passes", canonical(later))

    async def _tick(self, node: Node) -> Node | None:
        """A tick later; None while a call has yet to take effect: that takes less than a lease has left."""
        for process in node.processes:
            for task in process.tasks:
                if (await self._do.go_on(task.held)).kind == "effect":
                    return None
        tables = node.tables
        later = node._replace(
            tables=tables._replace(
                machines=later_rows(tables.machines),
                workers=tuple(one._replace(silent=min(2, one.silent + 1)) for one in tables.workers),
            ),
            processes=tuple(
                process._replace(
                    age=None if process.age is None else min(2, process.age + 1),
                    tasks=tuple(
                        task._replace(held=task.held._replace(deadline=sooner(task.held.deadline)))
                        for task in process.tasks
                    ),
                )
                for process in node.processes
            ),
        )
        return None if later == node else later

    # -- what a process does

    async def _of(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        for number, orphan in enumerate(process.orphans):
            ran = await self._do.commit(node, [orphan])
            rest = process.orphans[:number] + process.orphans[number + 1 :]
            changed = process._replace(orphans=rest)
            label = f"{process.worker}'s committer still commits of {orphan.held.name}"
            yield self._do.moved(counted(label, ran), node, ran, with_process(node, at, changed))
        if process.age is None:
            async for one in self._begins(node, at, process):
                yield one
            return
        for number, task in enumerate(process.tasks):
            async for one in self._holds(node, at, process, number, task):
                yield one
        claiming = self._claiming
        for loop in (claiming.takes, claiming.claims, self._reads, self._beats, claiming.sweeps):
            async for one in loop(node, at, process):
                yield one
        if node.faults and self._powers.crash:
            for orphans in await self._left(process):
                dead = Process(process.name, process.number, None, orphans=orphans)
                crashed = node._replace(faults=node.faults - 1, processes=with_process(node, at, dead))
                yield Next(f"{process.worker} is killed", canonical(crashed), fault=True)

    async def _begins(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        fresh = process._replace(number=process.number + 1, age=0)
        ran = await self._do.run(node, "add", fresh.worker)
        yield self._do.moved(
            f"{process.name} begins anew as {fresh.worker}", node, ran, with_process(node, at, fresh)
        )

    async def _reads(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        if process.reading is not None:
            yield await self._delivered(f"{process.worker} delivers its mail", node, at, process)
            return
        if not any(task.known for task in process.tasks):
            return
        ran = await self._do.run(node, "held_mail", process.worker)
        read = process._replace(reading=ran.answer)
        known = {task.held.name: mentioned(task.held) for task in process.tasks if task.known}
        news = any({id_ for id_, _ in mail} - known.get(name, set()) for name, _, mail in ran.answer)
        if not ran.answer or not (news or self._powers.late):
            return
        if self._powers.late:
            yield self._do.moved(
                f"{process.worker} asks for its mail", node, ran, with_process(node, at, read)
            )
        else:
            yield await self._delivered(f"{process.worker} reads its mail", node, at, read)

    async def _delivered(self, label: str, node: Node, at: int, process: Process) -> Next:
        tasks = process.tasks
        for name, fence, mail in process.reading or ():
            tasks = tuple(
                task._replace(held=told(task.held, fence, mail))
                if task.known and task.held.name == name
                else task
                for task in tasks
            )
        changed = process._replace(tasks=tasks, reading=None)
        return await self._do.settled(Next(label, node._replace(processes=with_process(node, at, changed))))

    async def _beats(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        ran = await self._do.run(node, "beat", process.worker)
        if ran.answer:
            beaten = process._replace(age=0)
            if ran.after != node.tables or beaten != process:
                yield self._do.moved(f"{process.worker} beats", node, ran, with_process(node, at, beaten))
            return
        for orphans in await self._left(process):
            left = Process(process.name, process.number + 1, 0, orphans=orphans)
            ran = await self._do.run(node, "add", left.worker)
            label = f"{process.worker} hears that it is dead, lets go, and goes on as {left.worker}"
            yield self._do.moved(label, node, ran, with_process(node, at, left))

    async def _left(self, process: Process) -> list[tuple[Task, ...]]:
        """What was with the committer when its holder was cancelled; of several each by itself."""
        left: list[tuple[Task, ...]] = [
            (orphaned(task),) for task in process.tasks if (await self._do.go_on(task.held)).kind == "commit"
        ]
        return left or [process.orphans]

    # -- what a holder does

    async def _holds(
        self, node: Node, at: int, process: Process, number: int, task: Task
    ) -> AsyncIterator[Next]:
        wants = await self._do.go_on(task.held)
        who = f"{process.worker} with {task.held.name} ({task.held.state})"
        assert process.age is not None

        async def said(label: str, answer: object, made: frozenset[str] = node.made) -> Next:
            heard = answered(process, number, answer)
            return await self._do.settled(
                Next(f"{who} {label}", node._replace(processes=with_process(node, at, heard), made=made))
            )

        if wants.acting and wants.held.deadline == 0 and not is_alarmed(wants.held):
            alarmed = with_event(process, number, ("alarm", None))
            label = f"{who} is interrupted by its deadline"
            yield await self._do.settled(
                Next(label, node._replace(processes=with_process(node, at, alarmed)))
            )
        match wants.kind:
            case "commit":
                async for one in self._commits(node, at, process, number, who):
                    yield one
            case "begin":
                good = self._do.is_lease_good(process.age)
                yield await said("calls its driver" if good else "finds its lease too old", good)
            case "effect" if wants.what == "make":
                there = task.held.name in node.made
                yield await said(
                    "makes its object", "done" if there else "wait", node.made | {task.held.name}
                )
            case "effect":
                yield await said("takes its object away", "done", node.made - {task.held.name})
            case "answer":
                yield await said("hears of its driver", True)
            case query:
                args = (task.held.owner, task.held.fence) if query == "get_held" else ()
                ran = await self._do.run(node, query, task.held.name, *args)
                heard = answered(process, number, ran.answer)
                yield await self._do.settled(
                    self._do.moved(
                        f"{who} asks {query}: {ran.answer}", node, ran, with_process(node, at, heard)
                    )
                )
                if node.faults and self._powers.lost:
                    lost = answered(process, number, UNAVAILABLE)
                    failed = self._do.moved(
                        f"{who} asks {query}, and is not answered",
                        node._replace(faults=node.faults - 1),
                        ran,
                        with_process(node, at, lost),
                        fault=True,
                    )
                    yield await self._do.settled(failed)

    async def _commits(
        self, node: Node, at: int, process: Process, number: int, who: str
    ) -> AsyncIterator[Next]:
        """Alone, or with whatever else the process's committer has; answered, or not."""
        ready = [
            n
            for n, one in enumerate(process.tasks)
            if n > number and (await self._do.go_on(one.held)).kind == "commit"
        ]
        for batch in ([number], [number, *ready]) if ready else ([number],):
            tasks = [process.tasks[n] for n in batch]
            ran = await self._do.commit(node, tasks)
            heard = process
            for n, answer in zip(batch, ran.answer, strict=True):
                heard = answered(heard, n, answer)
            label = f"{who} commits" + (f" with {len(batch) - 1} more" if len(batch) > 1 else "")
            yield await self._do.settled(
                self._do.moved(counted(label, ran), node, ran, with_process(node, at, heard))
            )
        if not (node.faults and self._powers.lost):
            return
        fewer = node._replace(faults=node.faults - 1)
        ran = await self._do.commit(node, [process.tasks[number]])
        yield self._do.moved(
            counted(f"{who} commits, and is not answered (to be written again)", ran),
            fewer,
            ran,
            node.processes,
            fault=True,
        )
        heard = answered(process, number, UNAVAILABLE)
        heard = heard._replace(orphans=(orphaned(process.tasks[number]),))
        given = Next(
            f"{who} gives up; its outcome is still on its way",
            fewer._replace(processes=with_process(node, at, heard)),
            True,
        )
        yield await self._do.settled(given)
