"""What is said where a driver says no more than that something is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from deployd.drivers.api import DriverContext, Failed, InstanceStatus, ReleaseSpec, ResourceSpec, ServiceRef
from deployd.drivers.postgres.driver import LocalPostgres, create
from deployd.drivers.process.config import Config
from deployd.drivers.process.prepare import prepare
from deployd.engine import changes, rollout
from deployd.engine.outcome import Go
from deployd.model.facts import ChangeFacts, DeploymentFacts, Source
from deployd.model.machine import Machine
from deployd.model.spec import RolloutSpec, ServiceSpec
from deployd.model.state import Health, MachineKind

NOW = datetime(2026, 3, 4, tzinfo=UTC)
FACTS = DeploymentFacts(
    "cart",
    NOW,
    "person:ada",
    ServiceSpec("cart", rollout=RolloutSpec("canary", steps=(10,), interval=1)),
    Source("/x"),
    release_id=UUID(int=2),
    restores=UUID(int=1),
    step=0,
    since=NOW,
)


def test_a_canary_that_is_gone_or_unwell_without_a_word() -> None:
    gone = rollout.unwell(FACTS, None)
    assert gone is not None
    assert gone.code == "MISSING"
    assert "while 10 % of requests went to it" in gone.summary
    ill = rollout.unwell(FACTS, InstanceStatus("1", UUID(int=2), Health.DEGRADED))
    assert ill is not None
    assert ill.code == "DEGRADED"
    assert ill.summary.startswith("service cart: ")


def test_a_change_whose_deployment_failed_without_a_word() -> None:
    failed = Machine(
        1,
        UUID(int=3),
        MachineKind.DEPLOYMENT,
        "failed",
        None,
        UUID(int=4),
        UUID(int=5),
        None,
        0,
        0,
        0,
        None,
        NOW,
        NOW,
        FACTS,
    )
    outcome = changes._conclude(ChangeFacts(Source("/x"), "", "person:ada"), [failed])
    assert isinstance(outcome, Go)
    assert outcome.reason is not None
    assert (outcome.trigger, outcome.reason.code) == ("fail", "FAILED")
    assert outcome.reason.summary == "cart failed"


SERVICE = ServiceRef(1, "local", UUID(int=1), "cart")


def test_a_release_without_files_cannot_be_a_process(tmp_path: Path) -> None:
    release = ReleaseSpec(UUID(int=2), 1, ServiceSpec("cart", run="true"))
    (reason,) = prepare(SERVICE, release, Config(), None, tmp_path, tmp_path).refusals
    assert (reason.code, reason.key) == ("NO_TREE", "")
    assert reason.remedy.startswith("Deploy from source")


def test_a_home_that_the_services_user_cannot_enter(tmp_path: Path) -> None:
    tree, closed = tmp_path / "tree", tmp_path / "closed"
    tree.mkdir()
    closed.mkdir(mode=0o700)
    release = ReleaseSpec(UUID(int=2), 1, ServiceSpec("cart", run="true"), tree=tree)
    refusals = prepare(SERVICE, release, Config(), 54_321, closed / "own", tmp_path).refusals
    reason = next(one for one in refusals if one.code == "HOME_UNREACHABLE")
    assert reason.summary.startswith("cart: ")
    assert reason.evidence == str(closed / "own")
    assert "chmod o+x" in reason.remedy


@pytest.mark.parametrize("password", ["", "a\nb"])
async def test_a_database_whose_settings_are_wrong(tmp_path: Path, password: str) -> None:
    driver = create({}, DriverContext(tmp_path, "here"))
    assert isinstance(driver, LocalPostgres)
    spec = ResourceSpec(1, "local", UUID(int=1), "cart/db", "postgres", password=password)
    ended = await driver.apply(spec)
    assert isinstance(ended, Failed)
    assert ended.reason.code == "INVALID_SETTINGS"
    assert "cart/db" in ended.reason.summary
