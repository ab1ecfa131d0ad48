"""How far a change and its deployments have come, from transitions and snapshots. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.model.state import ChangeState, DeploymentState

__all__ = ["Attempt", "Progress", "Step", "word"]

GOOD = frozenset({DeploymentState.SUCCEEDED.value})
GIVEN_UP = frozenset({DeploymentState.CANCELLED.value, DeploymentState.SUPERSEDED.value})
BAD = frozenset({DeploymentState.FAILED.value, DeploymentState.ROLLED_BACK.value})
FINAL = GOOD | GIVEN_UP | BAD
FINAL_CHANGE = frozenset(
    state.value
    for state in (
        ChangeState.PLANNED,
        ChangeState.DONE,
        ChangeState.PARTLY,
        ChangeState.FAILED,
        ChangeState.CANCELLED,
    )
)
TURNING = frozenset({DeploymentState.ROLLING_BACK.value, DeploymentState.CANCELLING.value})
"""What a step leads to that came to nothing."""


def word(state: str) -> str:
    """A state as the model writes it; GraphQL's enums are in capitals."""
    return state.lower()


@dataclass(slots=True)
class Step:
    """One state, and how long it lasted."""

    state: str
    at: datetime
    """When it began, by the server's clock."""
    seen: float
    """When we heard of it, by our monotonic clock."""
    seconds: float | None = None
    """None while it lasts."""

    def lasted(self, now: float) -> float:
        """Seconds, so far or in the end."""
        return max(0.0, now - self.seen) if self.seconds is None else self.seconds


@dataclass(slots=True)
class Attempt:
    """A machine that works towards an end: a deployment, or the change itself (which has no name)."""

    id: str
    name: str = ""
    service_id: str | None = None
    state: str = ""
    steps: list[Step] = field(default_factory=list)
    address: str | None = None
    """Where its release answers."""
    url: str | None = None
    """Where its service is reached whatever the release; this is what people want to know."""
    due: str = ""
    """When it runs next, where it has a schedule."""
    release: int | None = None
    plan: list[str] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    """Of a change's plan."""
    plan_hash: str | None = None
    rollout: str | None = None
    """How far its rollout is, where its state does not say all."""
    reason: Json | None = None
    created_at: str = ""
    expected: dict[str, float] | None = None
    """Seconds that each state took before, as far as there is experience; None: not asked yet."""

    @property
    def reached(self) -> str | None:
        """Where to call it."""
        return self.url or self.address

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in (FINAL if self.name else FINAL_CHANGE)

    @property
    def failed_in(self) -> str | None:
        """The state in which it went wrong, once it is on its way back or has ended badly."""
        if self.state not in BAD | TURNING | GIVEN_UP:
            return None
        working = [step.state for step in self.steps if step.state not in FINAL | TURNING]
        return working[-1] if working else None

    def take(self, transition: Json, now: float) -> None:
        """Go on by one step."""
        at = datetime.fromisoformat(transition["at"])
        state = word(transition["toState"])
        if self.steps:
            last = self.steps[-1]
            if last.state == state:
                return
            last.seconds = max(0.0, (at - last.at).total_seconds())
        self.steps.append(Step(state, at, now))
        self.state = state
        self.rollout = None
        if self.finished:
            self.steps[-1].seconds = 0.0
        self.reason = transition["reason"] or self.reason

    def absorb(self, snapshot: Json, *, last: bool = False) -> None:
        """What a query says of it. Its state is the transitions' to tell, unless nothing follows any more."""
        self.state = word(snapshot["state"]) if last or not self.state else self.state
        self.reason = snapshot["reason"] or self.reason
        self.plan = snapshot["plan"]
        self.items = snapshot.get("planItems", [])
        self.plan_hash = snapshot["planHash"]
        self.created_at = snapshot["createdAt"]
        if "service" in snapshot:
            same = self.state == word(snapshot["state"])
            self.rollout = snapshot["progress"] if same else None
            self.name = snapshot["service"]
            self.service_id = snapshot["serviceId"]
            self.address = snapshot["address"]
            self.url = snapshot["url"]
            self.release = (snapshot["release"] or {}).get("number")

    def expect(self, known: Json) -> None:
        """How long each state is likely to last, as a query says."""
        self.expected = {word(one["state"]): one["seconds"] for one in known["expectedSteps"]}

    def jump(self, snapshot: Json, now: float) -> None:
        """Stand in the snapshot's state, however it came there."""
        if self.steps and self.steps[-1].state == self.state:
            return
        if self.steps:
            self.steps[-1].seconds = self.steps[-1].lasted(now)
        at = datetime.fromisoformat(snapshot["updatedAt"])
        self.steps.append(Step(self.state, at, now, 0.0 if self.finished else None))

    def seconds(self, now: float) -> float:
        """How long it took, or has taken so far."""
        return sum(step.lasted(now) for step in self.steps)


@dataclass(slots=True)
class Progress:
    """A change with its deployments, or (without one) deployments that are followed by themselves."""

    change: Attempt | None = None
    attempts: dict[str, Attempt] = field(default_factory=dict)
    unaffected: dict[str, Json | None] = field(default_factory=dict)
    """The services that the change leaves as they are; as they were last seen, where they were looked at."""
    tree: str | None = None
    """Of the change's source, once that is taken."""
    cursor: str = ""
    """Up to where the world's transitions are in it."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to come."""
        if self.change is not None:
            return self.change.finished
        return bool(self.attempts) and all(one.finished for one in self.attempts.values())

    @property
    def services(self) -> list[str]:
        """The names of the services it works at."""
        return [one.name for one in self.attempts.values()]

    def concerns(self, transition: Json) -> bool:
        """Whether it is a step of one of these machines, or of a service of theirs."""
        machine = transition["machineId"]
        if machine in self.attempts or (self.change is not None and self.change.id == machine):
            return True
        return any(one.service_id == machine for one in self.attempts.values())

    def name_of(self, transition: Json) -> str:
        """The service that a transition is about; empty for the change's own."""
        if attempt := self.attempts.get(transition["machineId"]):
            return attempt.name
        for attempt in self.attempts.values():
            if transition["serviceId"] == attempt.service_id:
                return attempt.name
        return ""

    def items_of(self, transition: Json) -> list[Json] | None:
        """The items of the plan, where the transition is the change's own."""
        if self.change is None or self.change.id != transition["machineId"]:
            return None
        return self.change.items

    def take(self, transition: Json, now: float) -> None:
        """Go on by one step of one of these machines."""
        machine = transition["machineId"]
        if self.change is not None and self.change.id == machine:
            self.change.take(transition, now)
        elif (attempt := self.attempts.get(machine)) is not None:
            attempt.take(transition, now)

    def absorb(self, snapshot: Json, *, last: bool = False) -> None:
        """What a query of the change (or of a deployment) says."""
        if self.change is not None:
            self.change.absorb(snapshot, last=last)
            self.tree = snapshot.get("tree")
            for name in snapshot.get("unaffected", ()):
                self.unaffected.setdefault(name, None)
        for one in snapshot["deployments"] if self.change is not None else [snapshot]:
            self.attempts.setdefault(one["id"], Attempt(one["id"])).absorb(one, last=last)

    def jump(self, snapshot: Json, now: float) -> None:
        """As a query says it is by now, where the steps that led there are not kept any more."""
        self.absorb(snapshot, last=True)
        own = [] if self.change is None else [(self.change, snapshot)]
        below = snapshot["deployments"] if self.change is not None else [snapshot]
        for attempt, told in [*own, *((self.attempts[one["id"]], one) for one in below)]:
            attempt.jump(told, now)

    def left_alone(self) -> list[str]:
        """One line for each service that the change leaves as it is: why, and where it is reached."""
        lines = []
        for name, service in self.unaffected.items():
            plan = self.change.plan if self.change is not None else []
            why = next((one for one in plan if one.startswith(f"{name}: ")), f"{name}: nothing to do")
            reached = service and (service["url"] or service["address"])
            lines.append(f"{why}, at {reached}" if reached else why)
        return lines

    def held(self) -> list[str]:
        """Those of these lines that say that somebody holds the service."""
        starts = tuple(f"{name}: held" for name in self.unaffected)
        return [line for line in self.left_alone() if line.startswith(starts)]

    @property
    def wonders(self) -> bool:
        """Whether nobody knows yet how long something that works is likely to take."""
        return any(one.expected is None and not one.finished for one in self.attempts.values())

    def expect(self, known: list[Json]) -> None:
        """How long these are likely to take; of others there is nothing to know."""
        told = {one["id"]: one for one in known}
        for one in self.attempts.values():
            one.expect(told.get(one.id, {"expectedSteps": []}))

    def exit_code(self) -> ExitCode:
        """What its end means for a script."""
        states = {one.state for one in self.attempts.values()}
        if states & BAD or (self.change is not None and self.change.state == ChangeState.FAILED):
            return ExitCode.FAILED
        if states & GIVEN_UP or (self.change is not None and self.change.state == ChangeState.CANCELLED):
            return ExitCode.CANCELLED
        return ExitCode.DONE

    def failures(self) -> list[tuple[str, Json]]:
        """What failed, each with its reason: a title such as `hello failed in verifying`."""
        found = [(one, one.reason) for one in self.attempts.values() if one.state in BAD | GIVEN_UP]
        told = [(_title(one), reason) for one, reason in found if reason is not None]
        if not told and self.change is not None and self.exit_code() and self.change.reason is not None:
            state = self.change.state.replace("_", " ")
            return [(f"the change {'was cancelled' if state == 'cancelled' else state}", self.change.reason)]
        return told


def _title(attempt: Attempt) -> str:
    ended = {"failed": "failed", "rolled_back": "failed and was rolled back"}
    how = ended.get(attempt.state, f"was {attempt.state}")
    where = f" in {attempt.failed_in}" if attempt.failed_in else ""
    return f"{attempt.name} {how}{where}"
