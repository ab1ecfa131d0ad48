"""The loop of a worker that claims, takes turns and sweeps: each when the one before has been answered."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.model.effects import Effects
from tests.model.knowing import claimed_anew, unknown, with_process
from tests.model.values import Gate, Next, Node, Powers, Process, Task


class Claiming:
    """What that loop may do next."""

    def __init__(self, effects: Effects, powers: Powers, gate: Gate | None) -> None:
        self._do, self._powers, self._gate = effects, powers, gate

    def _is_free(self, process: Process) -> bool:
        """Whether nothing is under way, and what it claims may be held."""
        names = [task.held.name for task in process.tasks]
        lease = process.age is not None and self._do.is_lease_good(process.age)
        return lease and process.taking is None and len(set(names)) == len(names)

    async def takes(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        if process.taking is not None:
            async for one in self._taken(node, at, process, process.taking):
                yield one
        if self._gate is None or not self._is_free(process):
            return
        if not (await self._do.run(node, "list_waiting")).answer:
            return
        ran = await self._do.run(node, "take_turns", process.worker)
        if not ran.answer:
            return
        older = claimed_anew(node.processes, set(ran.answer))
        taking = with_process(node._replace(processes=older), at, older[at]._replace(taking=ran.answer))
        what = f"{process.worker} takes the turns of {', '.join(ran.answer)}"
        yield self._do.moved(what, node, ran, taking)
        if node.faults and self._powers.lost:
            fewer = node._replace(faults=node.faults - 1)
            yield self._do.moved(f"{what}, and is not answered", fewer, ran, older, fault=True)

    async def _taken(
        self, node: Node, at: int, process: Process, names: tuple[str, ...]
    ) -> AsyncIterator[Next]:
        """What it has taken is read, and held if the lease is still good."""
        assert process.age is not None
        ran = await self._do.run(node, "get_taken", process.worker, names)
        read = process._replace(taking=None)
        new: tuple[Task, ...] = ()
        what = f"{process.worker} reads what it has taken"
        if self._do.is_lease_good(process.age):
            read, new = unknown(read, {held.name for held in ran.answer}), tuple(map(Task, ran.answer))
        else:
            what += ", too late"
        yield await self._do.settled(
            self._do.moved(what, node, ran, with_process(node, at, read), new=(at, new))
        )
        if node.faults and self._powers.lost:
            fewer = node._replace(faults=node.faults - 1)
            lost = with_process(node, at, process._replace(taking=None))
            yield self._do.moved(f"{what}, and is not answered", fewer, ran, lost, fault=True)

    async def claims(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        if not self._is_free(process):
            return
        ran = await self._do.run(node, "claim", process.worker)
        if ran.after == node.tables:
            return
        taken = {held.name for held in ran.answer}
        older = claimed_anew(node.processes, taken)
        what = f"{process.worker} claims {', '.join(sorted(taken))}"
        mine = with_process(node._replace(processes=older), at, unknown(older[at], taken))
        new = tuple(Task(held) for held in ran.answer)
        yield await self._do.settled(self._do.moved(what, node, ran, mine, new=(at, new)))
        if node.faults and self._powers.lost:
            fewer = node._replace(faults=node.faults - 1)
            yield self._do.moved(f"{what}, and is not answered", fewer, ran, older, fault=True)

    async def sweeps(self, node: Node, at: int, process: Process) -> AsyncIterator[Next]:
        if not self._powers.sweep or process.taking is not None:
            return
        known = tuple(sorted(task.held.name for task in process.tasks if task.known))
        ran = await self._do.run(node, "return_unknown", process.worker, known)
        if ran.after != node.tables:
            label = f"{process.worker} returns what it does not know"
            yield self._do.moved(label, node, ran, node.processes)
