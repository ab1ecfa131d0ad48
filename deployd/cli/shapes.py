"""What each verb prints with `--json`: for docs/cli.md, and for the test that no verb goes without.

A verb that ends prints one document. A live one prints one object a line, each with its `event`. Complaints
are one object on stderr: `{"error": {"code", "message", "evidence", "remedy"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SHAPES", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a verb's output is to be read."""

    text: str
    """What is in it. Names of GraphQL types stand for what schema.graphql says of them."""
    lines: bool = False
    """One object a line, rather than one document."""


_FOLLOWED = (
    "`asked` {kind, id}, `transition` {service, …Transition}, `note` {text}, and last `finished` {exit_code, "
    "change, state, reason, unaffected, deployments: [{id, service, state, release, address, url, reason}]}"
)
_STEERED = "{service, asked, state}"
_CONTEXT = "{name, server, world, token, current}; `token` says where it is"

SHAPES: Mapping[str, Shape] = {
    "up": Shape(
        f"{_FOLLOWED}; then `transition`, `line` {{service, …LogLine}}, `edited` {{at, paths}}", True
    ),
    "down": Shape("`note` {text}", True),
    "serve": Shape("the server's log, a JSON object a line", True),
    "deploy": Shape(_FOLLOWED, True),
    "push": Shape(f"`uploaded` {{id, bytes}}, {_FOLLOWED}", True),
    "plan": Shape("the plan, as Change has it"),
    "rollback": Shape(_FOLLOWED, True),
    "retry": Shape(_FOLLOWED, True),
    "status": Shape("[Service], or with SERVICE one Service"),
    "history": Shape("[Deployment], newest first"),
    "logs": Shape("`line` {…LogLine}", True),
    "cancel": Shape("{kind, id, asked}"),
    "approve": Shape("{kind, id, plan, planHash}"),
    "suspend": Shape(_STEERED),
    "resume": Shape(_STEERED),
    "retire": Shape(_STEERED),
    "run": Shape("{service, began, reason}, or with --no-wait {service, asked}"),
    "hold": Shape("the service with its holds, as Service has them"),
    "why": Shape("why it is so, as the GraphQL query `why` answers"),
    "explain": Shape("what the code or key means"),
    "doctor": Shape("what was checked, and how each check ended"),
    "maintenance": Shape("[Duty], or with --run or --dry-run {dryRun, runs: [DutyRun]}"),
    "apply": Shape("[{world, changes}]"),
    "service list": Shape("[Service]"),
    "service show": Shape("Service"),
    "service scale": Shape("Service"),
    "world list": Shape("[World]"),
    "world show": Shape("World"),
    "world create": Shape("{name, ephemeral, createdAt}"),
    "world retire": Shape("Change, or with --no-wait {id}"),
    "world gate": Shape("[Gate]"),
    "resource list": Shape("[Resource]"),
    "resource show": Shape("Resource"),
    "resource create": Shape("Resource"),
    "resource update": Shape("Resource"),
    "resource adopt": Shape("Resource"),
    "resource delete": Shape("{resource, asked}"),
    "secret set": Shape("{name, setAt, setBy, services}"),
    "secret list": Shape("[{name, setAt, setBy, services}]"),
    "secret unset": Shape("{name, setAt, setBy, services}"),
    "token create": Shape("{value, …Token}"),
    "token list": Shape("[Token]"),
    "token revoke": Shape("Token"),
    "can-i": Shape("{allowed, reason, remedy}, or without ACTION {viewer, actions}"),
    "audit": Shape("[AuditEntry], newest first"),
    "context list": Shape(f"[{_CONTEXT}]"),
    "context use": Shape(_CONTEXT),
    "context set": Shape(_CONTEXT),
    "context remove": Shape(_CONTEXT),
    "context show": Shape("{context, server, world, token, file}, each but the last {value, from}"),
    "wait": Shape("{kind, id, name, until, state, health, reached, seconds, reason}"),
    "slugs": Shape("[Slug], or with SLUG one Slug"),
    "completion": Shape("{shell, script}"),
    "version": Shape("{version, server, url}"),
}
"""By verb."""
