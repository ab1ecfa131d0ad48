"""What is explored: who there is at first, what may be asked, how much may go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.values import FAR, Gate, Node, Peer, Powers, Process, Row, Tables, Turn


@dataclass(frozen=True)
class Scenario:
    """One space that is explored to its end."""

    machines: str = "M"
    """M, N and O: jobs. P: a parent, which will bear the job C."""
    processes: str = "A"
    posts: tuple[str, ...] = ()
    faults: int = 0
    deadline: int = FAR
    """Ticks."""
    state: str = "queued"
    """Of the job at first."""
    gate: Gate | None = None
    """Where the capability of jobs has a limit."""
    powers: Powers = field(default_factory=Powers)

    @property
    def first(self) -> Node:
        """Nothing has happened yet but births and registrations."""
        rows = (self._row(number, one) for number, one in enumerate(self.machines))
        return Node(
            Tables(tuple(rows), (), tuple(Peer(f"{one}0", 0, False) for one in self.processes)),
            tuple(Process(one, 0, 0) for one in self.processes),
            self.posts,
            self.faults,
        )

    def _row(self, number: int, name: str) -> Row:
        if self.gate is not None and self.state in self.gate.states:
            return Row(name, self.state, None, None, self.deadline, limited=True, turn=Turn(0, number))
        return Row(name, "received" if name == "P" else self.state, None, 0, FAR)


ONE = Gate(1, frozenset({"releasing", "cancelling"}))
"""One job at a time is released, or undone."""

_STILL = Powers(time=False, crash=False)
"""No time passes, so that nobody dies: what is left is who comes before whom."""

QUICK = {
    "one worker that may die of silence, a cancel, mail that is late": Scenario(
        posts=("cancel",), powers=Powers(late=True)
    ),
    "a deadline, and one fault": Scenario(faults=1, deadline=1),
    "two workers that may die of silence": Scenario(
        processes="AB", state="releasing", powers=Powers(sweep=False)
    ),
    "a parent waits for its child, two workers, an answer is lost": Scenario(
        "P", "AB", faults=1, powers=_STILL
    ),
    "two jobs take turns": Scenario("MN", state="releasing", gate=ONE),
    "two jobs take turns, two workers, a wake and a cancel": Scenario(
        "MN", "AB", posts=("wake", "cancel"), state="cancelling", gate=ONE, powers=_STILL
    ),
}
"""Explored by every run of the tests."""

WHOLE = {
    "two workers, from the first state on": Scenario(processes="AB"),
    "a cancel, and one fault": Scenario(posts=("cancel",), faults=1),
    "a cancel, mail that is late, an answer that is lost": Scenario(
        posts=("cancel",), faults=1, powers=Powers(late=True, crash=False, sweep=False)
    ),
    "a wake and a cancel, a deadline": Scenario(posts=("wake", "cancel"), deadline=1),
    "two workers, a cancel": Scenario(processes="AB", posts=("cancel",)),
    "two workers, a deadline": Scenario(processes="AB", deadline=1),
    "two workers, one fault": Scenario(processes="AB", faults=1),
    "a parent waits for its child, workers may die of silence": Scenario("P"),
    "a parent waits for its child, two workers, two answers are lost": Scenario(
        "P", "AB", faults=2, powers=_STILL
    ),
    "two jobs take turns, a cancel": Scenario("MN", posts=("cancel",), state="releasing", gate=ONE),
    "two jobs take turns, two workers, a wake, an answer is lost": Scenario(
        "MN", "AB", posts=("wake",), faults=1, state="cancelling", gate=ONE, powers=_STILL
    ),
    "two jobs take turns, one fault": Scenario("MN", faults=1, gate=ONE),
    "two jobs take turns, two workers": Scenario("MN", "AB", state="releasing", gate=ONE),
    "two jobs take turns, a cancel, a deadline": Scenario(
        "MN", posts=("cancel",), deadline=1, state="releasing", gate=ONE
    ),
    "two jobs take turns, but for undoing, a cancel": Scenario(
        "MN", posts=("cancel",), state="releasing", gate=Gate(1, frozenset({"releasing"}))
    ),
    "three jobs take two turns": Scenario(
        "MNO", state="releasing", gate=Gate(2, frozenset({"releasing", "cancelling"}))
    ),
}
"""Explored with DEPLOYD_CHAOS=whole: a quarter of an hour."""
