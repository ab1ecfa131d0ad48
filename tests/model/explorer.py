"""Breadth first through everything that may happen, so that a counterexample is a shortest one."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from tests.model.network import Network
from tests.model.rules import is_good
from tests.model.statements import Violation
from tests.model.symmetry import twins, untied
from tests.model.values import Node


@dataclass(frozen=True)
class Explored:
    """How much was seen, and what was found wrong."""

    states: int
    moves: int
    seconds: float
    wrong: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        seen = f"{self.states} states, {self.moves} moves, {self.seconds:.1f} s"
        if self.wrong is None:
            return seen
        steps = "\n".join(f"  {number}. {label}" for number, label in enumerate(self.trace, 1))
        return f"{self.wrong}\n{steps}\n({seen})"


class TooMany(Exception):
    """The space is larger than was meant."""


async def explore(network: Network, first: Node, most: int = 2_000_000) -> Explored:
    """Until all is seen, or a rule does not hold. At the end: from everywhere it can still end well, without
    another fault. As whoever may act does so sooner or later, it then does end well.

    What is found first stands for its twins too (see symmetry). All are known by its number, so that a trace
    is made of what was found itself, under the names that it has there.
    """
    began = time.monotonic()
    number = dict.fromkeys((first, *twins(first)), 0)
    nodes, came = [first], [(-1, "")]
    back: list[list[int]] = [[]]
    queue = deque([0])
    moves = 0

    def found(wrong: str, at: int, *more: str) -> Explored:
        trace = list(more)
        while at > 0:
            at, label = came[at]
            trace.insert(0, label)
        return Explored(len(nodes), moves, time.monotonic() - began, wrong, tuple(trace))

    while queue:
        at = queue.popleft()
        try:
            await network.check(nodes[at])
            async for label, tied, fault in network.nexts(nodes[at]):
                for node in untied(tied):
                    moves += 1
                    there = number.get(node)
                    if there is None:
                        there = number[node] = len(nodes)
                        number.update(dict.fromkeys(twins(node), there))
                        nodes.append(node)
                        came.append((at, label))
                        back.append([])
                        queue.append(there)
                    if not fault:
                        back[there].append(at)
        except Violation as wrong:
            return found(str(wrong), at, *filter(None, [network.doing]))
        if len(nodes) > most:
            raise TooMany(f"{len(nodes)} states, and {len(queue)} to go on from")
    if (stuck := _stuck(nodes, back)) is not None:
        return found(f"nothing that may happen ends it well: {nodes[stuck].tables}", stuck)
    return Explored(len(nodes), moves, time.monotonic() - began)


def _stuck(nodes: list[Node], back: list[list[int]]) -> int | None:
    """The first state from which no good one is reached."""
    ends = [at for at, node in enumerate(nodes) if is_good(node)]
    reached = set(ends)
    while ends:
        for before in back[ends.pop()]:
            if before not in reached:
                reached.add(before)
                ends.append(before)
    return next((at for at in range(len(nodes)) if at not in reached), None)
