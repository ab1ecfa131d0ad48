"""How long a deployment is likely to take, from those of its service that succeeded before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.model.facts import DeploymentFacts
from deployd.store import expected
from tests.integration.web.server import Served

QUERY = "query E($id: ID!) { deployment(id: $id) { expectedSeconds expectedSteps { state seconds } } }"


async def went(
    served: Served,
    service_id: UUID,
    steps: Mapping[str, float],
    end: str = "succeeded",
    purpose: str = "deploy",
) -> str:
    """A deployment of the service that was so long in each state; its id."""
    made = served.deployment("cart", service_id)
    assert isinstance(made.facts, DeploymentFacts)
    made = replace(made, facts=replace(made.facts, purpose=purpose))
    await served.committer.store(births=(made,))
    pool = served.db.pool
    await pool.execute("update machines set state = $2 where id = $1", made.id, end)
    await pool.execute("delete from transitions where machine_id = $1", made.id)
    at, before = datetime.now(UTC), None
    for state, seconds in [*steps.items(), (end, 0.0)]:
        await pool.execute(
            "insert into transitions (world_id, seq, at, machine_id, kind, service_id, trigger, from_state,"
            " to_state, actor) select $1, coalesce(max(seq), 0) + 1, $2, $3, 'deployment', $4, 'go', $5, $6,"
            " 'deployd' from transitions where world_id = $1",
            served.world_id, at, made.id, service_id, before, state,
        )  # fmt: skip
        at, before = at + timedelta(seconds=seconds), state
    return str(made.id)


async def test_it_is_the_median_of_those_that_succeeded(served: Served) -> None:
    service = served.service("cart")
    await served.committer.store(births=(service,))
    first = await went(served, service.id, {"queued": 100, "verifying": 2}, "failed")
    data = await served.data(QUERY, id=first)
    assert data["deployment"] == {"expectedSeconds": None, "expectedSteps": []}

    for seconds in (3, 50, 4):
        steps = {"queued": 100, "planning": 1, "awaiting_approval": 500, "verifying": seconds}
        await went(served, service.id, steps)
    back = await went(served, service.id, {"releasing": 1, "verifying": 9}, purpose="rollback")
    other = served.service("catalog")
    await served.committer.store(births=(other,))
    await went(served, other.id, {"verifying": 70})

    data = await served.data(QUERY, id=first)
    assert data["deployment"] == {
        "expectedSeconds": 5.0,
        "expectedSteps": [{"state": "PLANNING", "seconds": 1.0}, {"state": "VERIFYING", "seconds": 4.0}],
    }
    data = await served.data(QUERY, id=back)
    assert data["deployment"]["expectedSeconds"] == 10.0


async def test_what_was_long_ago_does_not_count(served: Served) -> None:
    service = served.service("cart")
    await served.committer.store(births=(service,))
    for seconds in [60] * 5 + [2] * 10:
        last = await went(served, service.id, {"verifying": seconds})
    assert (await served.data(QUERY, id=last))["deployment"]["expectedSeconds"] == 2.0


async def test_many_are_asked_for_at_once(served: Served) -> None:
    services = [served.service(name) for name in ("a", "b")]
    await served.committer.store(births=tuple(services))
    for number, one in enumerate(services, 1):
        await went(served, one.id, {"verifying": number})
    keys = [((served.world_id, one.id), back) for one in services for back in (False, True)]
    found = await expected.read(served.db, keys)
    assert {key: one.seconds for key, one in found.items()} == {keys[0]: 1.0, keys[2]: 2.0}
