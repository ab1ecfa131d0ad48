"""Transitions and snapshots as the server tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

Json = dict[str, Any]
BEGAN = datetime(2026, 3, 4, 12, 3, 4, tzinfo=UTC)
CHANGE, SERVICE, DEPLOYMENT = "change-1", "service-1", "deployment-1"
WAY = ["queued", "fetching", "planning", "building", "provisioning", "releasing", "verifying", "succeeded"]
_seqs = count(1)


def reason(summary: str, evidence: str = "", remedy: str = "") -> Json:
    return {"code": "X", "summary": summary, "evidence": evidence, "remedy": remedy, "fault": "FAILED"}


def transition(
    machine: str,
    source: str | None,
    target: str,
    *,
    kind: str = "DEPLOYMENT",
    service: str | None = SERVICE,
    seconds: float = 0,
    because: Json | None = None,
) -> Json:
    return {
        "seq": next(_seqs),
        "at": (BEGAN + timedelta(seconds=seconds)).isoformat(),
        "machineId": machine,
        "kind": kind,
        "serviceId": service,
        "trigger": "go",
        "fromState": source,
        "toState": target,
        "actor": "deployd",
        "reason": because,
    }


def way(*states: str, machine: str = DEPLOYMENT, service: str = SERVICE) -> list[Json]:
    """The steps of one deployment, a second each."""
    return [
        transition(machine, before, state, service=service, seconds=number)
        for number, (before, state) in enumerate(zip([None, *states], states, strict=False))
    ]


def deployment(
    state: str, name: str = "hello", machine: str = DEPLOYMENT, service: str = SERVICE, **other: Any
) -> Json:
    ended = state in ("SUCCEEDED", "FAILED", "ROLLED_BACK", "CANCELLED", "SUPERSEDED")
    return {
        "id": machine,
        "service": name,
        "serviceId": service,
        "changeId": CHANGE,
        "state": state,
        "finished": ended,
        "purpose": "deploy",
        "requestedBy": "person:ada",
        "requestedAt": BEGAN.isoformat(),
        "address": None,
        "url": None,
        "plan": [],
        "notes": [],
        "progress": None,
        "planHash": None,
        "createdAt": BEGAN.isoformat(),
        "updatedAt": BEGAN.isoformat(),
        "release": None,
        "reason": None,
    } | other


def change(state: str, *deployments: Json, **other: Any) -> Json:
    return {
        "id": CHANGE,
        "state": state,
        "finished": state in ("DONE", "PARTLY", "FAILED", "CANCELLED"),
        "directory": "/src",
        "requestedBy": "person:ada",
        "plan": [],
        "planHash": None,
        "createdAt": BEGAN.isoformat(),
        "reason": None,
        "deployments": list(deployments),
    } | other
