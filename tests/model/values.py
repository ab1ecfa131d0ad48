"""The protocol's state as values: what the tables say, what each process knows, and nothing else.

Everything is relative, so that equal situations are equal values and the space is finite however often
something is repeated: times are ticks from now, versions and fences count from the row's own (0: the same;
-1: older, and as both only ever rise, never the same again), mail is numbered by its order, workers by how
often their process began anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from deployd.model.state import MachineKind

FAR = 99
"""Ticks: further away than anything that is explored."""
SILENCE = 1.5
"""Ticks of silence after which a worker counts as dead; so it lives at 0 and 1, and may be buried at 2."""


class Turn(NamedTuple):
    """Since when a machine waits for its turn, or from when on: in ticks, and its place within that tick."""

    at: int
    place: int


class Row(NamedTuple):
    """A machine's row. `due` and `deadline` in ticks, 0: it has come. While it waits for a turn its deadline
    is as it was when that began, since the time of waiting is added to it.
    """

    name: str
    state: str
    owner: str | None
    due: int | None
    deadline: int | None
    waiters: tuple[str, ...] = ()
    attempt: int = 0
    limited: bool = False
    """By the one capability that has a limit."""
    turn: Turn | None = None

    @property
    def is_waiting(self) -> bool:
        """For a turn, from now on or longer."""
        return self.turn is not None and self.turn.at <= 0


class Letter(NamedTuple):
    """A row of the mailbox."""

    machine: str
    id: int
    trigger: str


class Peer(NamedTuple):
    """A row of `workers`."""

    name: str
    silent: int
    dead: bool


class Tables(NamedTuple):
    """What the database says."""

    machines: tuple[Row, ...] = ()
    mail: tuple[Letter, ...] = ()
    workers: tuple[Peer, ...] = ()

    def row(self, name: str) -> Row | None:
        """The machine's row, where it was born."""
        return next((one for one in self.machines if one.name == name), None)


Mail = tuple[tuple[int, str], ...]
"""Id and trigger of each."""


class Held(NamedTuple):
    """A `Holding` as a value: what it knew when it began its present step, and what it was told since."""

    name: str
    owner: str
    state: str
    attempt: int
    version: int
    fence: int
    deadline: int | None
    expired: bool
    mail: Mail
    answered: tuple[int, ...] = ()
    events: tuple[tuple[str, Any], ...] = ()
    limited: bool = False
    turn: bool = False


class Task(NamedTuple):
    """A `Holding` in its process. `known`: the process delivers to it; `stale`: claimed anew since."""

    held: Held
    known: bool = True
    stale: bool = False


class Process(NamedTuple):
    """A process with its worker. `age`: ticks since its heartbeat was accepted; None: it does not run."""

    name: str
    number: int
    age: int | None
    tasks: tuple[Task, ...] = ()
    orphans: tuple[Task, ...] = ()
    """Outcomes that the committer still writes, though nobody waits for the answer."""
    reading: tuple[tuple[str, int, Mail], ...] | None = None
    """Mail that was read, with the machine's fence, and not delivered yet."""
    taking: tuple[str, ...] | None = None
    """Machines whose turn was taken, and which are not read yet."""

    @property
    def worker(self) -> str:
        """Its id of now."""
        return f"{self.name}{self.number}"


class Node(NamedTuple):
    """One state of everything."""

    tables: Tables
    processes: tuple[Process, ...]
    posts: tuple[str, ...]
    """What somebody may still post to the first machine, in this order."""
    faults: int
    """How many may still happen."""
    made: frozenset[str] = frozenset()
    """Machines whose object exists outside."""


class Next(NamedTuple):
    """One thing that may happen."""

    label: str
    node: Node
    fault: bool = False


@dataclass(frozen=True)
class Powers:
    """Which of the more far-fetched things may happen."""

    crash: bool = True
    lost: bool = True
    """The answer of a statement is lost, or the committer gives up."""
    late: bool = False
    """What a worker read of its mail reaches its holders only later."""
    sweep: bool = True
    time: bool = True


@dataclass(frozen=True)
class Gate:
    """The limit of the one capability: so many jobs at once in these states."""

    limit: int
    states: frozenset[str]


def uid(name: str) -> UUID:
    """The id of a machine or worker."""
    return UUID(bytes=name.encode().ljust(16, b"\0"))


def name_of(identifier: UUID | str) -> str:
    """And back."""
    return UUID(str(identifier)).bytes.rstrip(b"\0").decode()


def kind_of(name: str) -> MachineKind:
    """P is a parent, whatever else there is a job."""
    return MachineKind.CHANGE if name == "P" else MachineKind.DEPLOYMENT
