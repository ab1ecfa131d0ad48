"""Everything that is counted in this process. What is asked of the database at a scrape is in `web`."""

from __future__ import annotations

from deployd.telemetry.instruments import SIZES, SLOW, Counter, Histogram

__all__ = [
    "ACTS",
    "CLAIMS",
    "COMMITS",
    "COMMIT_SIZE",
    "DRIVER_CALLS",
    "HINTS",
    "INSTRUMENTS",
    "OPERATIONS",
    "OUTCOMES",
    "PROBLEMS",
    "TRANSITIONS",
]

TRANSITIONS = Counter(
    "deployd_transitions", "Transitions committed by this process.", ("kind", "trigger", "to_state")
)
OUTCOMES = Counter(
    "deployd_outcomes",
    "Outcomes handed to the committer: moved, stayed, or stale, as their machine had moved on.",
    ("result",),
)
COMMITS = Histogram("deployd_commit_duration_seconds", "Time of one group commit.")
COMMIT_SIZE = Histogram("deployd_commit_outcomes", "Outcomes in one group commit.", bounds=SIZES)
ACTS = Histogram(
    "deployd_act_duration_seconds", "Time of one act, by where it works.", ("kind", "state"), SLOW
)
CLAIMS = Counter("deployd_claims", "Machines claimed by this process.")
DRIVER_CALLS = Histogram(
    "deployd_driver_call_duration_seconds",
    "Time of one call of a driver. Its outcome is done, or the code of an error.",
    ("driver", "method", "outcome"),
    SLOW,
)
OPERATIONS = Histogram(
    "deployd_graphql_operation_duration_seconds",
    "Time of one GraphQL operation, for each of its root fields; of a subscription until it ends.",
    ("operation", "field", "outcome"),
)
PROBLEMS = Counter("deployd_graphql_problems", "Requests refused by a Problem as their answer.", ("code",))
HINTS = Counter("deployd_hints", "Hints between processes.", ("direction",))

INSTRUMENTS: tuple[Counter | Histogram, ...] = (
    TRANSITIONS,
    OUTCOMES,
    COMMITS,
    COMMIT_SIZE,
    ACTS,
    CLAIMS,
    DRIVER_CALLS,
    OPERATIONS,
    PROBLEMS,
    HINTS,
)
