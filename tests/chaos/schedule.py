"""What happens in one soak and when: who asks for what, what goes wrong. It follows from the seed alone."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.chaos.weather import KINDS

__all__ = ["WORLDS", "Ask", "Fault", "Schedule", "draw"]

WORLDS = ("alpha", "beta", "gamma")
"""`beta` wants its deployments approved, `gamma` is ephemeral."""

_RUNS = ("ok", "better", "flaky", "moody", "sick", "broken", "slow")
_SERVICES = ("cart", "web")
_VERBS = {
    "deploy": 9,
    "again": 2,
    "cancel change": 2,
    "cancel deployment": 2,
    "retry": 2,
    "rollback": 2,
    "suspend": 2,
    "resume": 2,
    "scale": 2,
    "approve": 3,
    "hold": 1,
    "lift": 1,
    "retire": 1,
    "create": 2,
    "update": 2,
    "delete": 1,
}
_FAULTS = {
    "replica killed": 4,
    "replica stopped": 3,
    "postgres killed": 2,
    "postgres restarted": 1,
    "no connection left": 2,
    "connections refused": 1,
    "connections cut": 2,
    "answers to commits lost": 4,
    "slow": 2,
    "disk full": 1,
    "hints lost": 2,
    "clock step": 2,
    "weather": 5,
}


@dataclass(frozen=True)
class Ask:
    """`at` seconds after the beginning somebody wants something of a world."""

    at: float
    world: str
    verb: str
    service: str = "cart"
    run: str = "ok"
    needs: bool = False
    """Whether the service needs a database."""
    rollout: str = "rolling"
    number: int = 1

    def __str__(self) -> str:
        more = f" run={self.run} needs={self.needs} rollout={self.rollout}" if self.verb == "deploy" else ""
        return f"{self.at:6.2f}  {self.world}: {self.verb} {self.service}{more} #{self.number}"


@dataclass(frozen=True)
class Fault:
    """`at` seconds after the beginning something goes wrong, for so long."""

    at: float
    kind: str
    lasts: float = 0.0
    which: int = 0
    """Of the replicas; how many answers; of weathers."""
    amount: float = 0.0
    """Seconds of a step or a delay; a rate."""

    def __str__(self) -> str:
        what = f" ({KINDS[self.which]})" if self.kind == "weather" else f" #{self.which}"
        return f"{self.at:6.2f}  {self.kind}{what} for {self.lasts:.2f} s, {self.amount:g}"


@dataclass(frozen=True)
class Schedule:
    seed: int
    replicas: int
    asks: tuple[Ask, ...]
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        lines = sorted((*self.asks, *self.faults), key=lambda one: one.at)
        return "\n".join((f"seed {self.seed}, {self.replicas} replicas", *map(str, lines)))


def draw(seed: int, seconds: float) -> Schedule:
    """The schedule of this seed: each two seconds about six requests and three faults."""
    chance = random.Random(seed)
    asks = [
        Ask(0.0, world, "deploy", service, "ok", needs=chance.random() < 0.5)
        for world in WORLDS
        for service in _SERVICES
    ]
    asks += [_ask(chance, chance.uniform(0.3, seconds)) for _ in range(round(seconds * 3))]
    asks.append(Ask(chance.uniform(seconds * 0.6, seconds), "gamma", "retire world"))
    faults = [_fault(chance, chance.uniform(0.2, seconds)) for _ in range(round(seconds * 1.5))]
    return Schedule(
        seed,
        chance.randint(2, 4),
        tuple(sorted(asks, key=lambda one: one.at)),
        tuple(sorted(faults, key=lambda one: one.at)),
    )


def _ask(chance: random.Random, at: float) -> Ask:
    return Ask(
        at,
        chance.choice(WORLDS),
        _pick(chance, _VERBS),
        chance.choice(_SERVICES),
        chance.choice(_RUNS),
        needs=chance.random() < 0.4,
        rollout=chance.choice(("rolling", "rolling", "recreate", "blue-green", "canary")),
        number=chance.randint(1, 3),
    )


def _fault(chance: random.Random, at: float) -> Fault:
    kind = _pick(chance, _FAULTS)
    lasts, which, amount = chance.uniform(0.3, 1.5), chance.randrange(4), 0.0
    match kind:
        case "replica stopped":
            lasts = chance.uniform(0.3, 4.0)  # shorter and longer than a lease
        case "answers to commits lost":
            which = chance.randint(1, 5)
        case "slow":
            amount = chance.uniform(0.01, 0.2)
        case "hints lost":
            lasts = chance.uniform(1.0, 4.0)
        case "clock step":
            amount = chance.choice((-3600.0, -7.0, 7.0, 700.0))
        case "weather":
            which, amount = chance.randrange(len(KINDS)), chance.choice((0.1, 0.3, 1.0))
    return Fault(at, kind, lasts, which, amount)


def _pick(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(tuple(weights), tuple(weights.values()))[0]
