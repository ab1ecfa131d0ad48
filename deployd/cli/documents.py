"""Every GraphQL document that the command line sends."""

from __future__ import annotations

__all__ = [
    "APPROVE",
    "CANCEL",
    "CHANGE",
    "DEPLOY",
    "DEPLOYMENT",
    "FOLLOW_LOGS",
    "HISTORY",
    "LOGS",
    "RETRY",
    "ROLLBACK",
    "SERVICE",
    "SERVICES",
    "STEER",
    "TRANSITIONS",
    "VERSION",
    "WORLD",
    "WORLDS",
]

_REASON = "{ code summary evidence remedy fault }"
_PROBLEM = "... on Problem { code message remedy evidence }"
_DEPLOYMENT = f"""{{
  id service serviceId changeId state finished purpose requestedBy requestedAt address url
  plan notes planHash createdAt updatedAt release {{ id number }} reason {_REASON}
}}"""
_SERVICE = f"""{{
  id name world state health address url pid restarts createdAt updatedAt
  reason {_REASON} serving {{ id number createdAt }} previous {{ id number }}
  deployment {{ id state }}
  deployments(first: 1) {{ id state requestedAt reason {_REASON} }}
}}"""

VERSION = "query Version { version }"

WORLD = "query World($world: String!) { world(name: $world) { name cursor } }"

WORLDS = "query Worlds { worlds { name services { name state } } }"

SERVICES = f"query Services($world: String!) {{ world(name: $world) {{ name services {_SERVICE} }} }}"

SERVICE = (
    f"query Service($world: String!, $name: String!) {{ service(world: $world, name: $name) {_SERVICE} }}"
)

HISTORY = f"""query History($world: String!, $name: String!, $first: Int!) {{
  service(world: $world, name: $name) {{
    id name previous {{ id number }} releases(first: $first) {{ id number createdAt }}
    deployments(first: $first) {_DEPLOYMENT}
  }}
}}"""

CHANGE = f"""query Change($id: ID!) {{
  change(id: $id) {{
    id state finished directory repository ref commit tree requestedBy plan planHash unaffected createdAt
    reason {_REASON}
    deployments {_DEPLOYMENT}
  }}
}}"""

DEPLOYMENT = f"query Deployment($id: ID!) {{ deployment(id: $id) {_DEPLOYMENT} }}"

TRANSITIONS = f"""subscription Transitions($world: String!, $after: Cursor) {{
  transitions(world: $world, after: $after) {{
    transitions {{ seq at machineId kind serviceId trigger fromState toState actor reason {_REASON} }}
    cursor
  }}
}}"""

_LINES = "{ lines { at stream instance text } cursor }"

LOGS = f"""query Logs($world: String!, $service: String!, $after: Cursor, $first: Int!) {{
  logs(world: $world, service: $service, after: $after, first: $first) {_LINES}
}}"""

FOLLOW_LOGS = f"""subscription FollowLogs($world: String!, $service: String!, $after: Cursor) {{
  logs(world: $world, service: $service, after: $after) {_LINES}
}}"""

DEPLOY = f"""mutation Deploy($input: DeployInput!) {{
  deploy(input: $input) {{ __typename ... on Change {{ id }} {_PROBLEM} }}
}}"""

ROLLBACK = f"""mutation Rollback($world: String!, $service: String!, $release: ID) {{
  rollback(world: $world, service: $service, release: $release) {{
    __typename ... on Service {{ id name }} {_PROBLEM}
  }}
}}"""

_MACHINE = f"""{{
  __typename
  ... on Service {{ id name }}
  ... on Deployment {{ id service deploymentState: state finished }}
  ... on Change {{ id changeState: state finished }}
  {_PROBLEM}
}}"""

CANCEL = f"mutation Cancel($id: ID!) {{ cancel(id: $id) {_MACHINE} }}"

RETRY = f"mutation Retry($id: ID!) {{ retry(id: $id) {_MACHINE} }}"

APPROVE = (
    f"mutation Approve($id: ID!, $planHash: String!) {{ approve(id: $id, planHash: $planHash) {_MACHINE} }}"
)

STEER = {
    verb: f"""mutation Steer($world: String!, $service: String!) {{
  {verb}(world: $world, service: $service) {{ __typename ... on Service {{ id name }} {_PROBLEM} }}
}}"""
    for verb in ("suspend", "resume", "retire")
}
