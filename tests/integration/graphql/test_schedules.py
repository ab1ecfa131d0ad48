"""What is said of a service with a schedule, and having it run now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deployd.engine.birth import birth
from deployd.model.facts import Run, ServiceFacts
from deployd.model.identifier import new_id
from deployd.model.reason import Reason
from deployd.store.commit import Birth
from tests.integration.graphql.test_mutations import PROBLEM, mail
from tests.integration.web.server import Served

AT = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
FIELDS = "schedule nextRunAt runningSince lastRunAt lastRunReason { code summary }"


async def scheduled(served: Served, name: str, **more: Any) -> Birth:
    made = served.service(name)
    assert isinstance(made.facts, ServiceFacts)
    facts = replace(made.facts, serving=new_id(), **more)
    service = birth(served.world_id, made.id, facts, "person:ada", name=name)
    await served.committer.store(births=(replace(service, state="serving"),))
    return service


async def test_what_is_said_of_its_runs(served: Served) -> None:
    release = new_id()
    ended = Run(new_id(), release, AT, ended_at=AT, reason=Reason("TASK_FAILED", "it exited with code 3"))
    now = Run(new_id(), release, AT.replace(day=5))
    await scheduled(
        served, "job", schedule="0 3 * * *", next_run_at=AT.replace(day=6), run=now, last_run=ended
    )
    await scheduled(served, "cart")
    query = f'{{ job: service(world: "local", name: "job") {{ {FIELDS} }} '
    data = await served.data(query + f'cart: service(world: "local", name: "cart") {{ {FIELDS} }} }}')
    assert data["job"] == {
        "schedule": "0 3 * * *",
        "nextRunAt": "2026-03-06T03:00:00+00:00",
        "runningSince": "2026-03-05T03:00:00+00:00",
        "lastRunAt": "2026-03-04T03:00:00+00:00",
        "lastRunReason": {"code": "TASK_FAILED", "summary": "it exited with code 3"},
    }
    assert set(data["cart"].values()) == {None}


async def test_run_now(served: Served) -> None:
    await scheduled(served, "job", schedule="0 3 * * *")
    await scheduled(served, "busy", schedule="0 3 * * *", run=Run(new_id(), new_id(), AT))
    await scheduled(served, "cart")
    answers = {}
    for name in ("job", "busy", "cart", "none"):
        mutation = f'mutation {{ run(world: "local", service: "{name}") {{ {PROBLEM} }} }}'
        answers[name] = (await served.data(mutation))["run"]
    assert answers["job"] == {"__typename": "Service"}
    assert (answers["busy"]["code"], answers["busy"]["path"]) == ("CONFLICT", ["service"])
    assert "no schedule" in answers["cart"]["message"]
    assert (answers["none"]["code"], answers["none"]["path"]) == ("NOT_FOUND", ["service"])
    assert [trigger for trigger, _ in await mail(served)] == ["run"]
