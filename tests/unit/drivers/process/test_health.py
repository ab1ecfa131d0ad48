"""The judgement of what was seen, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deployd.drivers.process.client import Instance
from deployd.drivers.process.health import address, judge
from deployd.drivers.process.instance import Start, Status
from deployd.drivers.process.probe import Answer
from deployd.model.state import Health

NOW = 1_000_000.0
WELL = Answer(True, "GET / on port 20001: 200 OK")
SICK = Answer(False, "GET / on port 20001: 503 Service Unavailable")
REFUSED = Answer(False, "GET / on port 20001: nothing listens there", refused=True)


def start(**more: Any) -> Start:
    return Start(
        world_id=1,
        service_id="s",
        service="cart",
        number=3,
        argv=("serve",),
        text="serve",
        cwd="/",
        env={},
        **more,
    )


def instance(
    folder: Path, *, up: float = 100.0, alive: bool = True, stopping: bool = False, **status: Any
) -> Instance:
    said = Status(**{"state": "running", "shim": 1, "pid": 2, "started_at": NOW - up, **status})
    ports = {"http": 20_001}
    return Instance(folder, UUID(int=1), start(ports=ports, told_ports={"http": 8080}), said, alive, stopping)


CASES = [
    ({}, WELL, False, Health.HEALTHY, None),
    ({}, SICK, False, Health.PROGRESSING, "UNHEALTHY"),
    ({}, SICK, True, Health.DEGRADED, "UNHEALTHY"),
    ({}, REFUSED, False, Health.PROGRESSING, "NOT_LISTENING"),
    ({}, REFUSED, True, Health.DEGRADED, "NOT_LISTENING"),
    ({"failures": 1, "up": 0.1, "exit": {"code": 1}}, REFUSED, False, Health.PROGRESSING, "EXITED"),
    ({"state": "backoff", "failures": 1, "exit": {"code": 1}}, None, False, Health.PROGRESSING, "EXITED"),
    ({"state": "backoff", "failures": 3, "exit": {"code": 1}}, None, True, Health.DEGRADED, "CRASH_LOOP"),
    ({"failures": 4, "up": 1.0, "exit": {"code": 1}}, REFUSED, False, Health.DEGRADED, "CRASH_LOOP"),
    ({"failures": 4, "up": 1.0, "exit": {"code": 1}}, WELL, False, Health.HEALTHY, None),
    ({"failures": 4, "up": 90.0, "exit": {"code": 1}}, REFUSED, True, Health.DEGRADED, "NOT_LISTENING"),
    ({"up": 1.0}, None, False, Health.PROGRESSING, None),
    ({"up": 3.0}, None, False, Health.HEALTHY, None),
    ({"up": 3.0, "failures": 3, "exit": {"code": 1}}, None, False, Health.DEGRADED, "CRASH_LOOP"),
    ({"up": 11.0, "failures": 3, "exit": {"code": 1}}, None, False, Health.HEALTHY, None),
    ({"alive": False}, None, True, Health.MISSING, "SUPERVISOR_GONE"),
    ({"stopping": True}, None, True, Health.PROGRESSING, "STOPPING"),
    ({"state": "stopping"}, None, True, Health.PROGRESSING, "STOPPING"),
]


@pytest.mark.parametrize(("seen", "answer", "was_healthy", "health", "code"), CASES)
def test_judge(
    tmp_path: Path,
    seen: dict[str, Any],
    answer: Answer | None,
    was_healthy: bool,
    health: Health,
    code: str | None,
) -> None:
    if was_healthy:
        (tmp_path / "healthy").touch()
    status = judge(instance(tmp_path, **seen), answer, (), NOW)
    assert status.health is health
    assert (status.reason.code if status.reason else None) == code
    assert status.instance == "cart-3"
    assert status.reason is None or status.reason.code == "STOPPING" or status.reason.remedy


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"code": 3}, "exited with code 3"),
        ({"code": 0}, "ended by itself"),
        ({"signal": 11}, "signal 11"),
        ({"error": "serve: No such file"}, "could not be executed: serve: No such file"),
    ],
)
def test_how_it_ended(tmp_path: Path, ended: dict[str, Any], words: str) -> None:
    seen = instance(tmp_path, state="backoff", failures=3, exit=ended, tail=("first", "last"), dropped=7)
    reason = judge(seen, None, (), NOW).reason
    assert reason is not None
    assert words in reason.summary
    assert reason.evidence.startswith("first\nlast\n")
    assert "7 lines" in reason.evidence


def test_the_port_that_it_should_not_have_chosen(tmp_path: Path) -> None:
    reason = judge(instance(tmp_path), REFUSED, (8080,), NOW).reason
    assert reason is not None
    assert "it listens on 8080" in reason.summary
    assert "rather than 8080" in reason.remedy


def test_addresses() -> None:
    assert address(start()) is None
    assert address(start(ports={"http": 1, "other": 2})) == "http://127.0.0.1:1"
    assert address(start(ports={"grpc": 1})) == "tcp://127.0.0.1:1"
    assert address(start(ports={"tcp": 1}, health="/")) == "http://127.0.0.1:1"
