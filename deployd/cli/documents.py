"""Every GraphQL document that the command line sends."""

from __future__ import annotations

__all__ = [
    "ADOPT_RESOURCE",
    "APPROVE",
    "CANCEL",
    "CHANGE",
    "CREATE_RESOURCE",
    "CREATE_WORLD",
    "DELETE_RESOURCE",
    "DEPLOY",
    "DEPLOYMENT",
    "DOCTOR",
    "FOLLOW_LOGS",
    "GATES",
    "HISTORY",
    "HOLD",
    "LIFT_HOLD",
    "LOGS",
    "MAINTAIN",
    "MAINTENANCE",
    "MAKE_WORLD",
    "PLAN",
    "RELEASES",
    "RESOURCE",
    "RESOURCES",
    "RETIRE_WORLD",
    "RETRY",
    "ROLLBACK",
    "ROLLBACK_WARNINGS",
    "SCALE",
    "SECRETS",
    "SERVICE",
    "SERVICES",
    "SET_GATES",
    "SET_SECRET",
    "STEER",
    "TRANSITIONS",
    "UNSET_SECRET",
    "UPDATE_RESOURCE",
    "UPDATE_WORLD",
    "VERSION",
    "WHY",
    "WHY_NAMED",
    "WORLD",
    "WORLDS",
    "WORLD_RESOURCES",
    "WORLD_SERVICES",
    "WORLD_WHOLE",
]

_REASON = "{ code summary evidence remedy fault subject { kind name } where }"
_PROBLEM = "... on Problem { code message remedy evidence }"
_DEPLOYMENT = f"""{{
  id service serviceId changeId state finished purpose requestedBy requestedAt address url
  plan notes progress planHash createdAt updatedAt release {{ id number }} reason {_REASON}
}}"""
_SERVICE = f"""{{
  id name world state health address url urls pid restarts createdAt updatedAt
  schedule nextRunAt runningSince lastRunAt lastRunReason {_REASON}
  reason {_REASON} serving {{ id number createdAt }} previous {{ id number }}
  deployment {{ id state progress }} copies running holds {{ release {{ id number }} by at note }}
  deployments(first: 1) {{ nodes {{ id state requestedAt reason {_REASON} }} }}
}}"""

_ITEMS = "{ kind name action why approval notes fields { path before after } }"
_RESOURCE = f"""{{
  id name world slug type state health ownership standing params {{ name value }} outputs services
  boundToHost createdAt updatedAt
  reason {_REASON}
}}"""

VERSION = "query Version { version }"

WORLD = "query World($world: String!) { world(name: $world) { name cursor } }"

_MORE = "pageInfo { hasNextPage endCursor }"

WORLDS = f"""query Worlds {{ worlds {{
  name ephemeral createdAt retiredAt capabilities {{ name driver }}
  services(first: 200) {{ nodes {{ name state }} {_MORE} }}
  resources(first: 200) {{ nodes {{ name }} {_MORE} }}
}} }}"""

WORLD_SERVICES = f"""query WorldServices($world: String!, $after: Cursor) {{ world(name: $world) {{
  services(first: 200, after: $after) {{ nodes {{ name state }} {_MORE} }}
}} }}"""

WORLD_RESOURCES = f"""query WorldResources($world: String!, $after: Cursor) {{ world(name: $world) {{
  resources(first: 200, after: $after) {{ nodes {{ name }} {_MORE} }}
}} }}"""

RESOURCES = f"""query Resources($world: String!, $after: Cursor) {{ world(name: $world) {{
  name resources(first: 200, after: $after) {{ nodes {_RESOURCE} {_MORE} }}
}} }}"""

RESOURCE = (
    f"query Resource($world: String!, $name: String!) {{ resource(world: $world, name: $name) {_RESOURCE} }}"
)

GATES = "query Gates($world: String!) { world(name: $world) { name gates { name allow ports } } }"

CREATE_WORLD = f"""mutation CreateWorld($name: String!, $like: String!, $ephemeral: Boolean!) {{
  createWorld(name: $name, like: $like, ephemeral: $ephemeral) {{
    __typename ... on World {{ name ephemeral createdAt }} {_PROBLEM}
  }}
}}"""

RETIRE_WORLD = f"""mutation RetireWorld($world: String!) {{
  retireWorld(world: $world) {{ __typename ... on Change {{ id }} {_PROBLEM} }}
}}"""

SET_GATES = f"""mutation SetGates($world: String!, $gates: [GateInput!]!) {{
  setGates(world: $world, gates: $gates) {{
    __typename ... on World {{ name gates {{ name allow ports }} }} {_PROBLEM}
  }}
}}"""

DELETE_RESOURCE = f"""mutation DeleteResource($world: String!, $name: String!) {{
  deleteResource(world: $world, name: $name) {{ __typename ... on Resource {{ id name }} {_PROBLEM} }}
}}"""

CREATE_RESOURCE = f"""mutation CreateResource(
  $world: String!, $name: String!, $slug: String!, $params: [ParamInput!]!
) {{
  createResource(world: $world, name: $name, slug: $slug, params: $params) {{
    __typename ... on Resource {{ id name }} {_PROBLEM}
  }}
}}"""

UPDATE_RESOURCE = f"""mutation UpdateResource($world: String!, $name: String!, $params: [ParamInput!]!) {{
  updateResource(world: $world, name: $name, params: $params) {{
    __typename ... on Resource {{ id name }} {_PROBLEM}
  }}
}}"""

ADOPT_RESOURCE = f"""mutation AdoptResource($world: String!, $name: String!) {{
  adoptResource(world: $world, name: $name) {{ __typename ... on Resource {{ id name }} {_PROBLEM} }}
}}"""

SERVICES = f"""query Services($world: String!, $after: Cursor) {{ world(name: $world) {{
  name services(first: 200, after: $after) {{ nodes {_SERVICE} {_MORE} }}
}} }}"""

SERVICE = (
    f"query Service($world: String!, $name: String!) {{ service(world: $world, name: $name) {_SERVICE} }}"
)

HISTORY = f"""query History($world: String!, $name: String!, $first: Int!, $after: Cursor) {{
  service(world: $world, name: $name) {{
    id name previous {{ id number }}
    deployments(first: $first, after: $after) {{ nodes {_DEPLOYMENT} {_MORE} }}
  }}
}}"""

RELEASES = f"""query Releases($world: String!, $name: String!, $after: Cursor) {{
  service(world: $world, name: $name) {{
    releases(first: 200, after: $after) {{ nodes {{ id number createdAt }} {_MORE} }}
  }}
}}"""

CHANGE = f"""query Change($id: ID!) {{
  change(id: $id) {{
    id state finished directory repository ref commit tree requestedBy plan planHash unaffected createdAt
    updatedAt dryRun planItems {_ITEMS} reason {_REASON}
    deployments {_DEPLOYMENT}
  }}
}}"""

DEPLOYMENT = f"query Deployment($id: ID!) {{ deployment(id: $id) {_DEPLOYMENT} }}"

TRANSITIONS = f"""subscription Transitions($world: String!, $after: Cursor) {{
  transitions(world: $world, after: $after) {{
    __typename
    ... on TransitionBatch {{
      transitions {{ seq at machineId kind serviceId trigger fromState toState actor reason {_REASON} }}
      cursor
    }}
    ... on CursorExpired {{ message cursor }}
  }}
}}"""

MOVES = """subscription Moves($id: ID!, $after: Cursor) {
  deployment(id: $id, after: $after) {
    __typename
    ... on DeploymentEvent { transitions { machineId serviceId toState } cursor }
    ... on CursorExpired { cursor }
  }
}"""

_EXPECTED = "{ id expectedSeconds expectedSteps { state seconds } }"

EXPECTED_OF_CHANGE = f"query Expected($id: ID!) {{ change(id: $id) {{ deployments {_EXPECTED} }} }}"

EXPECTED_OF_DEPLOYMENT = f"query Expected($id: ID!) {{ deployment(id: $id) {_EXPECTED} }}"

NAMES = """query Names($world: String!) {
  world(name: $world) { services(first: 200) { nodes { name state } } }
}"""

SLUGS = """query Slugs($world: String!) { world(name: $world) { name slugs {
  slug type driver capability description
  parameters { name type default minimum maximum choices description } outputs { name secret } example
} } }"""

_CAPABILITIES = "capabilities { name driver approval limit config }"
_GATES = "gates { name allow ports }"

WORLD_WHOLE = f"""query WorldWhole($world: String!) {{ world(name: $world) {{
  name version ephemeral createdAt retiredAt {_GATES}
  capabilities {{
    name driver approval limit config keys does broken slugs
    supports {{ runs http tcp maxScale rollouts tasks boundToHost }}
  }}
  slugs {{
    slug type driver capability description example outputs {{ name secret }}
    parameters {{ name type default minimum maximum choices description }}
  }}
}} }}"""

_WORLD_ANSWER = f"""{{
  __typename ... on World {{ name version ephemeral {_CAPABILITIES} {_GATES} }}
  ... on Problem {{ code message remedy evidence path }}
}}"""

MAKE_WORLD = f"""mutation MakeWorld(
  $name: String!, $ephemeral: Boolean!, $capabilities: [CapabilityInput!]!, $gates: [GateInput!]!
) {{
  createWorld(name: $name, ephemeral: $ephemeral, capabilities: $capabilities, gates: $gates) {_WORLD_ANSWER}
}}"""

UPDATE_WORLD = f"""mutation UpdateWorld($input: UpdateWorldInput!) {{
  updateWorld(input: $input) {_WORLD_ANSWER}
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

PLAN = DEPLOY.replace("mutation Deploy", "mutation Plan").replace("deploy(input", "plan(input")

ROLLBACK = f"""mutation Rollback($world: String!, $service: String!, $release: ID) {{
  rollback(world: $world, service: $service, release: $release) {{
    __typename ... on Service {{ id name }} {_PROBLEM}
  }}
}}"""

ROLLBACK_WARNINGS = """query RollbackWarnings($world: String!, $service: String!, $release: ID) {
  service(world: $world, name: $service) { rollbackWarnings(release: $release) }
}"""

HOLD = f"""mutation Hold($world: String!, $service: String!, $release: ID, $note: String!) {{
  hold(world: $world, service: $service, release: $release, note: $note) {{
    __typename ... on Service {{ id name }} {_PROBLEM}
  }}
}}"""

LIFT_HOLD = f"""mutation LiftHold($world: String!, $service: String!, $release: ID) {{
  liftHold(world: $world, service: $service, release: $release) {{
    __typename ... on Service {{ id name }} {_PROBLEM}
  }}
}}"""

SCALE = f"""mutation Scale($world: String!, $service: String!, $copies: Int!) {{
  scale(world: $world, service: $service, copies: $copies) {{
    __typename ... on Service {{ id name }} {_PROBLEM}
  }}
}}"""

_WHY = f"""{{
  subject {{ kind name }} verdict summary since meanwhile meanwhileSince next nextAt deadlineAt directory
  cause {_REASON} steps {{ subject {{ kind name }} summary since reason {_REASON} }}
}}"""

WHY = f"query Why($id: ID!) {{ why(id: $id) {_WHY} }}"

WHY_NAMED = f"""query WhyNamed($world: String!, $name: String!) {{
  service(world: $world, name: $name) {{ why {_WHY} }}
  resource(world: $world, name: $name) {{ why {_WHY} }}
}}"""

_KEPT = "{ name setAt setBy services }"

SECRETS = f"query Secrets($world: String!) {{ secrets(world: $world) {_KEPT} }}"

SET_SECRET = f"""mutation SetSecret($world: String!, $name: String!, $value: String!) {{
  setSecret(world: $world, name: $name, value: $value) {{ __typename ... on Secret {_KEPT} {_PROBLEM} }}
}}"""

UNSET_SECRET = f"""mutation UnsetSecret($world: String!, $name: String!) {{
  unsetSecret(world: $world, name: $name) {{ __typename ... on Secret {_KEPT} {_PROBLEM} }}
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
    for verb in ("suspend", "resume", "retire", "run")
}

_TOKEN = "{ name role worlds createdAt createdBy expiresAt lastUsedAt revokedAt revokedBy }"  # noqa: S105 - fields

TOKENS = f"query Tokens($ended: Boolean!) {{ tokens(ended: $ended) {_TOKEN} }}"

CREATE_TOKEN = f"""mutation CreateToken($name: String!, $role: Role!, $worlds: [String!], $seconds: Int) {{
  createToken(name: $name, role: $role, worlds: $worlds, seconds: $seconds) {{
    __typename ... on CreatedToken {{ value token {_TOKEN} }} {_PROBLEM}
  }}
}}"""

REVOKE_TOKEN = f"""mutation RevokeToken($name: String!) {{
  revokeToken(name: $name) {{ __typename ... on Token {_TOKEN} {_PROBLEM} }}
}}"""

VIEWER = "{ viewer { name role worlds expiresAt } }"

ACTIONS = '{ __type(name: "Action") { enumValues { name description } } }'

CAN_I = """query CanI($action: Action!, $world: String) {
  canI(action: $action, world: $world) { allowed reason remedy }
}"""

AUDIT = """query Audit($world: String, $actor: String, $first: Int!, $after: Cursor) {
  audit(world: $world, actor: $actor, first: $first, after: $after) {
    nodes { id at actor action world arguments outcome endedAt code message }
    pageInfo { hasNextPage endCursor }
  }
}"""
MAINTENANCE = """query Maintenance { maintenance {
  name description host everySeconds lastRunAt nextRunAt lastSeconds lastOutcome lastSummary
  lastCounted { what number } running
} }"""

MAINTAIN = f"""mutation Maintain($duties: [String!], $dryRun: Boolean!) {{
  maintain(duties: $duties, dryRun: $dryRun) {{
    __typename ... on Maintained {{
      dryRun runs {{ name outcome summary counted {{ what number }} seconds }}
    }} {_PROBLEM}
  }}
}}"""

DOCTOR = "query Doctor { doctor { check level summary remedy evidence } }"
