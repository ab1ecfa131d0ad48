"""Calls of drivers are counted by what they came to; what an act logs says which machine it was."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from deployd.drivers.api import Done, Progress, Wait
from deployd.engine.acts import ACTS
from deployd.engine.calling import observed
from deployd.engine.context import Context
from deployd.engine.outcome import Go, Outcome, Stay
from deployd.errors import Retryable
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store.database import Database
from deployd.telemetry.lines import formatter
from deployd.telemetry.metrics import DRIVER_CALLS
from tests.house import house


class Moody:
    """A driver of its own."""

    drain_seconds = 3.0

    async def apply(self, how: str, *, alone: bool) -> Progress:
        if how == "retry":
            raise Retryable("later")
        if how == "break":
            raise ZeroDivisionError
        return Wait(1) if how == "wait" else Done({"alone": str(alone)})


async def test_outcomes() -> None:
    driver = observed(Moody(), "test:moody")
    assert driver.drain_seconds == 3.0
    assert await driver.apply("well", alone=True) == Done({"alone": "True"})
    assert await driver.apply("wait", alone=True) == Wait(1)
    for how, error in (("retry", Retryable), ("break", ZeroDivisionError), ("retry", Retryable)):
        with pytest.raises(error):
            await driver.apply(how, alone=False)
    told = {
        labels[2]: sum(series.counts)
        for labels, series in DRIVER_CALLS.series.items()
        if labels[:2] == ("test:moody", "apply")
    }
    assert told == {"done": 1, "wait": 1, "RETRYABLE": 2, "INTERNAL": 1}


async def test_a_line_of_an_act(database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter("json").format(record))

    async def fetch(context: Context, machine: Machine) -> Outcome:
        logging.getLogger("deployd.test").warning("it is fetched")
        return Go("fetched") if machine.attempt == 0 else Stay(after=timedelta(seconds=1))

    handler = Keeps()
    logging.getLogger("deployd").addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "deployd"):
            async with house(
                database, tmp_path, acts={**ACTS, (MachineKind.DEPLOYMENT, "fetch"): fetch}
            ) as home:
                change = await home.deploy(cart="ok")
                await home.until(change.id, "done")
                [cart] = await home.deployments(change.id)
                history = await home.history()
    finally:
        logging.getLogger("deployd").removeHandler(handler)
    read = [json.loads(one) for one in lines]
    [said] = [one for one in read if one["message"] == "it is fetched"]
    assert (said["machine"], said["state"], said["name"]) == (str(cart.id), "fetching", "cart")
    assert (said["change"], said["trace"]) == (str(change.id), change.id.hex)
    moves = {one["seq"]: (one["machine"], one["state"]) for one in read if "seq" in one}
    assert moves == {one.seq: (str(one.machine_id), one.to_state) for one in history}
