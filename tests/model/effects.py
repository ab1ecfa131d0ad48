"""What one step does to all: a statement to the tables, and to what everybody knows of them."""

from __future__ import annotations

from collections.abc import Sequence

from deployd.store import commit
from deployd.store.commit import Batch, Step
from tests.model.acting import Actors, Wants
from tests.model.calls import CALLS, ticks_of
from tests.model.canonical import canonical, shifted
from tests.model.knowing import aged_mail, is_lease_good
from tests.model.rules import check_claim, check_commit, check_other, check_turns
from tests.model.statements import Ran, Statements
from tests.model.values import Gate, Held, Next, Node, Process, Tables, Task, uid


class Effects:
    """The statements and the holders, by whom they are done."""

    def __init__(self, statements: Statements, actors: Actors, gate: Gate | None) -> None:
        self._db, self._actors, self._gate = statements, actors, gate
        self._doing: tuple[object, ...] = ()
        self._good = [is_lease_good(age) for age in range(3)]

    def begin(self) -> None:
        """Nothing is done yet."""
        self._doing = ()

    @property
    def doing(self) -> str:
        """The statement that was run last, for a trace that ends with it."""
        return " ".join(map(str, self._doing))

    def is_lease_good(self, age: int) -> bool:
        """What the real lease says so many ticks after its renewal."""
        return self._good[age]

    async def go_on(self, held: Held) -> Wants:
        """What a holder wants."""
        return await self._actors.go_on(held)

    async def commit(self, node: Node, tasks: Sequence[Task]) -> Ran:
        """One group commit of what these holders want to."""
        wants = [await self._actors.go_on(task.held) for task in tasks]
        steps: list[Step] = [one.what for one in wants]
        for step, task in zip(steps, tasks, strict=True):
            assert step.machine.id == uid(task.held.name)

        async def call(db: Statements) -> tuple[object, ...]:
            applied = await commit.write(db.connection, Batch(steps=steps))
            return tuple(one and (ticks_of(one.remaining), bool(one.woken)) for one in applied)

        def check(before: Tables, ran: Ran) -> None:
            check_commit(before, list(zip(tasks, steps, strict=True)), ran)

        self._doing = (tasks[0].held.owner, "commits of", ", ".join(task.held.name for task in tasks))
        key = tuple([(one.key, task.stale) for one, task in zip(wants, tasks, strict=True)])
        return await self._db.run(node.tables, "commit", key, call, check)

    async def run(self, node: Node, name: str, *args: object) -> Ran:
        """Any other statement."""
        self._doing = (name, *args)
        query, call = CALLS[name]

        def check(before: Tables, ran: Ran) -> None:
            check_other(before, [("M", str(args[0]))] if name == "post" else [], ran)
            if name == "claim":
                check_claim(before, ran)
            elif name == "take_turns" and self._gate is not None:
                check_turns(before, self._gate.limit, ran)

        return await self._db.run(node.tables, query, (name, args), lambda db: call(db, *args), check)

    def moved(
        self,
        label: str,
        node: Node,
        ran: Ran,
        processes: tuple[Process, ...],
        *,
        new: tuple[int, tuple[Task, ...]] = (0, ()),
        fault: bool = False,
    ) -> Next:
        """After a statement: its tables, what everybody knows against them, `new` holders of a process."""
        if ran.risen or new[1]:
            processes = tuple(
                one._replace(
                    tasks=shifted(one.tasks, ran.risen) + (new[1] if at == new[0] else ()),
                    orphans=shifted(one.orphans, ran.risen),
                    reading=aged_mail(one.reading, ran),
                )
                for at, one in enumerate(processes)
            )
        return Next(label, canonical(node._replace(tables=ran.after, processes=processes)), fault)

    async def settled(self, one: Next) -> Next:
        """With every holder gone on to where it wants something, and without those that have ended."""
        processes, changed = [], False
        for process in one.node.processes:
            tasks = []
            for task in process.tasks:
                wants = await self._actors.go_on(task.held)
                if wants.kind == "ended":
                    changed = True
                elif wants.held is task.held or wants.held == task.held:
                    tasks.append(task)
                else:
                    changed = True
                    tasks.append(task._replace(held=wants.held))
            processes.append(process._replace(tasks=tuple(tasks)) if changed else process)
        return one._replace(node=canonical(one.node._replace(processes=tuple(processes))))
