"""`deployd run` follows the run that it asked for; `status` says when the next one is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployd.cli import running
from deployd.cli.arguments import parser
from deployd.cli.exits import ExitCode
from deployd.cli.looking import next_run, status
from deployd.cli.options import Options
from deployd.errors import Conflict
from tests.unit.cli.scripted import scripted
from tests.unit.cli.told import reason

BEFORE, NOW = "2026-03-04T03:00:00+00:00", "2026-03-04T12:00:00+00:00"


def service(**other: Any) -> dict[str, Any]:
    return {
        "id": "1", "name": "job", "world": "local", "state": "SERVING", "health": "HEALTHY", "address": None,
        "url": None, "urls": [],
        "pid": None, "restarts": 0, "reason": None, "previous": None, "deployment": None,
        "serving": None, "deployments": {"nodes": []}, "createdAt": BEFORE, "updatedAt": BEFORE,
        "schedule": "0 3 * * *", "nextRunAt": "2026-03-05T03:00:00+00:00", "runningSince": None,
        "copies": None, "running": 0, "holds": [],
        "lastRunAt": BEFORE, "lastRunReason": {**reason("it went well"), "code": "RUN_SUCCEEDED"}, **other,
    }  # fmt: skip


def answers(*then: dict[str, Any]) -> list[Any]:
    asked = {"data": {"run": {"__typename": "Service", "id": "1", "name": "job"}}}
    return [{"data": {"service": service()}}, asked, *({"data": {"service": one}} for one in then)]


async def run(script: list[Any], *argv: str, verb: Any = running.run) -> int:
    async with scripted(answers=script) as server:
        arguments = parser().parse_args(["run", "job", "--server", server.url, *argv])
        return int(await verb(Options.of(arguments), arguments))


async def test_it_follows_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    ended = {"lastRunAt": NOW, "lastRunReason": {**reason("the run succeeded"), "code": "RUN_SUCCEEDED"}}
    script = answers(service(), service(runningSince=NOW), service(**ended))
    assert await run(script) == ExitCode.DONE
    assert capsys.readouterr().out == "the run succeeded\n"


@pytest.mark.parametrize(
    ("code", "expected"), [("TASK_FAILED", ExitCode.FAILED), ("RUN_CANCELLED", ExitCode.CANCELLED)]
)
async def test_how_it_failed(code: str, expected: ExitCode, capsys: pytest.CaptureFixture[str]) -> None:
    why = {**reason("it exited with code 3", "no table", "mend it"), "code": code}
    assert await run(answers(service(lastRunAt=NOW, lastRunReason=why))) == expected
    said = capsys.readouterr().err
    assert all(text in said for text in ("it exited with code 3", "no table", "mend it"))


async def test_one_that_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BEGINNING", 0.0)
    with pytest.raises(Conflict, match="deploying"):
        await run(answers(*[service(state="DEPLOYING")] * 50))


async def test_not_waiting_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(answers(), "--no-wait", "--json") == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"service": "job", "asked": "run"}
    ended = service(lastRunAt=NOW)
    assert await run(answers(ended), "--json") == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["began"] == NOW


async def test_status_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(answers=[{"data": {"service": service()}}]) as server:
        arguments = parser().parse_args(["status", "job", "--server", server.url])
        await status(Options.of(arguments), arguments)
    said = capsys.readouterr().out
    assert "next run" in said
    assert "it went well" in said
    more = {"hasNextPage": False, "endCursor": None}
    services = {"data": {"world": {"services": {"nodes": [service()], "pageInfo": more}}}}
    resources = {"data": {"world": {"resources": {"nodes": [], "pageInfo": more}}}}
    async with scripted(answers=[services, resources]) as server:
        arguments = parser().parse_args(["status", "--server", server.url])
        await status(Options.of(arguments), arguments)
    assert "next run" in capsys.readouterr().out
    assert next_run(service(runningSince=NOW)).startswith("running since")
    assert next_run(service(nextRunAt=None)) == ""
