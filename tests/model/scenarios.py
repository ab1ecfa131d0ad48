"""What is explored: who there is at first, what may be asked, how much may go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.values import FAR, Node, Peer, Powers, Process, Row, Tables


@dataclass(frozen=True)
class Scenario:
    """One space that is explored to its end."""

    machines: str = "M"
    """M: a job. P: a parent, which will bear the job C."""
    processes: str = "A"
    posts: tuple[str, ...] = ()
    faults: int = 0
    deadline: int = FAR
    """Ticks."""
    state: str = "queued"
    """Of the job at first."""
    powers: Powers = field(default_factory=Powers)

    @property
    def first(self) -> Node:
        """Nothing has happened yet but births and registrations."""
        rows = (Row(one, "received" if one == "P" else self.state, None, 0, FAR) for one in self.machines)
        return Node(
            Tables(tuple(rows), (), tuple(Peer(f"{one}0", 0, False) for one in self.processes)),
            tuple(Process(one, 0, 0) for one in self.processes),
            self.posts,
            self.faults,
        )


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
}
"""Explored with DEPLOYD_CHAOS=whole: minutes."""
