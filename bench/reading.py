"""What bench.reads asks, of deployd and of PostGraphile; and what of the answers has to be alike.

The handwritten endpoint answers as deployd does. PostGraphile has other names for some things, texts for long
numbers, and lists as pages; `content` brings its answers to the same form. Cursors are left out: each has
its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["OPERATIONS", "Operation", "content"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the questions, in both schemas; `variables` besides the world."""

    name: str
    ours: str
    theirs: str
    variables: Mapping[str, int]


OPERATIONS = (
    Operation(
        "overview",
        """query Overview($world: String!) { world(name: $world) { name
  tallies { kind state health count }
} }""",
        """query Overview($world: String!) { worldByName(name: $world) { name
  tallies: talliesByWorldId { nodes { kind state health count } }
} }""",
        {},
    ),
    Operation(
        "services",
        """query Services($world: String!, $first: Int!) { world(name: $world) { services(first: $first) {
  nodes {
    id name state health url running restarts createdAt reason { code summary } serving { number }
    resources { name slug state health }
    deployments(first: 1) { nodes { id state requestedAt requestedBy } }
  }
  pageInfo { hasNextPage endCursor }
} } }""",
        """query Services($world: String!, $first: Int!) { worldByName(name: $world) {
  services: servicesByWorldId(first: $first, orderBy: [NAME_ASC]) {
    nodes {
      rowId name state health url running restarts createdAt reasonCode reasonSummary serving { number }
      resources { nodes { name slug state health } }
      deployments: deploymentsByWorldIdAndServiceId(first: 1, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) {
        nodes { rowId state requestedAt requestedBy }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
} }""",
        {"first": 50},
    ),
    Operation(
        "transitions",
        """query Transitions($world: String!, $first: Int!) { history(world: $world, first: $first) {
  nodes { seq at machineId kind serviceId trigger fromState toState actor reason { code summary } }
  pageInfo { hasNextPage endCursor }
} }""",
        """query Transitions($world: String!, $first: Int!) { worldByName(name: $world) {
  history: transitionsByWorldId(first: $first, orderBy: [SEQ_DESC]) {
    nodes {
      seq at machineId kind serviceId trigger fromState toState actor reasonCode reasonSummary
    }
    pageInfo { hasNextPage endCursor }
  }
} }""",
        {"first": 100},
    ),
)


def content(answer: Mapping[str, Any]) -> object:
    """What an answer says, whoever gave it. Raises RuntimeError for one with errors."""
    if answer.get("errors") or not answer.get("data"):
        raise RuntimeError(f"an answer is no good one: {str(answer)[:2000]}")
    (data,) = answer["data"].values()
    return _plain(data.get("history", data))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value.lower() if isinstance(value, str) else value  # enums are in capitals
    if "reasonCode" in value:
        code, summary = value.pop("reasonCode"), value.pop("reasonSummary")
        value["reason"] = None if code is None else {"code": code, "summary": summary}
    if set(value) == {"nodes"}:
        return _plain(value["nodes"])
    found = {_NAMES.get(name, name): _plain(one) for name, one in value.items() if name != "endCursor"}
    for name in _LONG & found.keys():
        found[name] = int(found[name])
    return found


_NAMES = {"rowId": "id"}
_LONG = {"seq", "count"}
"""PostGraphile has them as texts."""
