"""The log's lines: one JSON object each, with what they are about."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from deployd.model.facts import DeploymentFacts, Source
from deployd.model.identifier import new_id
from deployd.model.machine import Machine
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.telemetry.lines import about, formatter
from deployd.telemetry.subject import ACTING, ASKING, WORLDS, Asking


def line(message: str, *args: object, error: BaseException | None = None, **extra: Any) -> dict[str, Any]:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.getLogger("deployd.test").makeRecord(
        "deployd.test", logging.WARNING, "x.py", 1, message, args, info, extra=extra
    )
    text = formatter("json").format(record)
    assert "\n" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_line_of_its_own() -> None:
    before = datetime.now(UTC)
    found = line("two\nlines of %s", "text", **about(seq=7, world=None))
    assert found.pop("at") >= before.isoformat(timespec="milliseconds")
    assert found == {"level": "warning", "logger": "deployd.test", "message": "two\nlines of text", "seq": 7}


def test_a_line_of_an_act_has_its_machine() -> None:
    now, change = datetime.now(UTC), new_id()
    facts = DeploymentFacts("cart", now, "person:ada", ServiceSpec("cart"), Source("/x"))
    machine = Machine(
        -5,
        new_id(),
        MachineKind.DEPLOYMENT,
        "building",
        None,
        None,
        change,
        None,
        1,
        1,
        0,
        None,
        now,
        now,
        facts,
    )
    WORLDS[-5] = "shop"
    token = ACTING.set(lambda: machine)
    try:
        found = line("slow", **about(state="now"))
    finally:
        ACTING.reset(token)
        del WORLDS[-5]
    assert {key: found[key] for key in ("world", "machine", "kind", "state", "name", "change", "trace")} == {
        "world": "shop",
        "machine": str(machine.id),
        "kind": "deployment",
        "state": "now",
        "name": "cart",
        "change": str(change),
        "trace": change.hex,
    }


def test_a_line_of_a_request_has_its_trace() -> None:
    token = ASKING.set(Asking("a" * 32, "b" * 16))
    try:
        assert line("x")["trace"] == "a" * 32
    finally:
        ASKING.reset(token)


def test_an_exception() -> None:
    try:
        raise ValueError("no\nway")
    except ValueError as error:
        found = line("failed", error=error)
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("ValueError: no\nway")
