"""A plan is asked for as a deployment is, and told item by item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from deployd.model.facts import ChangeFacts
from deployd.model.plan import PlanAction, PlanField, PlanItem, PlanKind
from deployd.store import machines
from tests.integration.web.server import Served

PLAN = """mutation ($input: DeployInput!) { plan(input: $input) {
  __typename ... on Problem { code path } ... on Change { id state dryRun planItems { name } }
} }"""
DEPLOY = """mutation ($input: DeployInput!) { deploy(input: $input) {
  __typename ... on Problem { code path } ... on Change { dryRun }
} }"""
ITEMS = """query ($id: ID!) { change(id: $id) {
  state finished dryRun planItems { kind name action why approval notes fields { path before after } }
} }"""


async def test_a_plan_is_a_change_of_its_own(served: Served, tmp_path: Path) -> None:
    given = {"world": "local", "directory": str(tmp_path), "idempotencyKey": "k"}
    asked = (await served.data(PLAN, input=given))["plan"]
    change_id = asked.pop("id")
    assert asked == {"__typename": "Change", "state": "RECEIVED", "dryRun": True, "planItems": []}
    assert (await served.data(PLAN, input=given))["plan"]["id"] == change_id
    problem = (await served.data(DEPLOY, input=given))["deploy"]
    assert problem == {"__typename": "Problem", "code": "CONFLICT", "path": ["input", "idempotencyKey"]}
    deployed = (await served.data(DEPLOY, input={**given, "idempotencyKey": None}))["deploy"]
    assert deployed == {"__typename": "Change", "dryRun": False}
    problem = (await served.data(PLAN, input={**given, "directory": "relative"}))["plan"]
    assert problem["path"] == ["input", "directory"]

    machine = await machines.get(served.db, served.world_id, UUID(change_id))
    assert machine is not None
    assert isinstance(machine.facts, ChangeFacts)
    fields = (PlanField("env.LEVEL", "info", "${secrets.level}"), PlanField("secrets.key"))
    item = PlanItem(PlanKind.SERVICE, "cart", PlanAction.ROLL, fields, "rolling", True, ("unlimited",))
    facts = replace(machine.facts, items=(item,))
    await served.move(machine.id, ("plan", "planning"), ("stop", "planned"), facts=facts)
    assert (await served.data(ITEMS, id=change_id))["change"] == {
        "state": "PLANNED",
        "finished": True,
        "dryRun": True,
        "planItems": [
            {
                "kind": "SERVICE",
                "name": "cart",
                "action": "ROLL",
                "why": "rolling",
                "approval": True,
                "notes": ["unlimited"],
                "fields": [
                    {"path": "env.LEVEL", "before": "info", "after": "${secrets.level}"},
                    {"path": "secrets.key", "before": None, "after": None},
                ],
            }
        ],
    }
