import io
import json
from argparse import Namespace
from typing import Any

import pytest
from aiohttp import web

from deployd.cli import waiting
from deployd.cli.exits import ExitCode, TimeIsUp, exit_code_of
from deployd.cli.options import Options
from deployd.errors import InputError, NotFound
from deployd.settings import Settings
from tests.unit.cli.scripted import Scripted, scripted, send
from tests.unit.cli.told import BEGAN, CHANGE, SERVICE, change, deployment, reason, transition

Json = dict[str, Any]
CHANGE_ID = "7ec7ab42-e348-5782-b9f6-e4e1710a808d"
WORLD = {"data": {"world": {"name": "local", "cursor": "c0"}}}


def service(
    state: str, health: str = "UNKNOWN", *, latest: Json | None = None, working: bool = False
) -> Json:
    return {
        "data": {
            "service": {
                "id": SERVICE, "name": "hello", "state": state, "health": health, "address": None,
                "url": "http://hello.localhost:7080", "reason": None, "createdAt": BEGAN.isoformat(),
                "deployment": {"id": "d"} if working else None,
                "deployments": [latest] if latest else [],
            }
        }
    }  # fmt: skip


def moving(*transitions: Json):
    """A stream that tells these, and stays open."""

    async def run(socket: web.WebSocketResponse, payload: Json) -> None:
        await send(socket, transitions={"transitions": list(transitions), "cursor": "c1"})
        await socket.receive()

    return run


async def wait(
    server: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    name: str = "hello",
    until: str | None = None,
    timeout: float = 20,
    *,
    as_json: bool = False,
) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    options = Options("local", Settings(home=None), server=server.url, json=as_json)  # type: ignore[arg-type]
    monkeypatch.setattr(Options, "address", lambda self: (server.url, None))
    code = await waiting.wait(options, Namespace(id=name, until=until, timeout=timeout))
    return code, out.getvalue(), err.getvalue()


async def test_a_service_is_looked_at_when_something_of_it_moved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "HEALTH", 30.0)  # so that it is the subscription that tells
    monkeypatch.setattr(waiting, "OTHERWISE", 30.0)
    step = transition(SERVICE, "deploying", "serving", kind="SERVICE")
    answers = [WORLD, service("DEPLOYING", working=True), service("SERVING", "HEALTHY")]
    async with scripted(answers=answers, streams=[moving(step)]) as server:
        code, out, _ = await wait(server, monkeypatch)
    assert code == 0
    assert out.splitlines() == [
        "hello is deploying, unknown",
        "hello is serving, healthy at http://hello.localhost:7080",
    ]
    assert server.subscribed[0]["variables"] == {"world": "local", "after": "c0"}


async def test_health_is_looked_at_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "HEALTH", 0.05)
    answers = [WORLD, service("SERVING", "PROGRESSING"), service("SERVING", "HEALTHY")]
    async with scripted(answers=answers, streams=[moving()]) as server:
        code, out, _ = await wait(server, monkeypatch, as_json=True)
    assert code == 0
    said = json.loads(out)
    assert (said["kind"], said["until"], said["state"], said["health"]) == (
        "service", "healthy", "serving", "healthy",
    )  # fmt: skip
    assert said["reached"] is True


async def test_the_time_is_up(monkeypatch: pytest.MonkeyPatch):
    answers = [WORLD, service("SUSPENDED", "SUSPENDED")]
    async with scripted(answers=answers, streams=[moving()]) as server:
        with pytest.raises(TimeIsUp, match=r"hello is not healthy within 0\.3s") as raised:
            await wait(server, monkeypatch, timeout=0.3)
    assert (raised.value.code, exit_code_of(raised.value)) == ("TIME_IS_UP", 124)
    assert raised.value.evidence == "it is suspended, suspended"


async def test_what_cannot_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    failed = {
        "id": "d",
        "state": "FAILED",
        "reason": reason("hello-1 exited with code 1", "Traceback", "Mend it."),
    }
    async with scripted(answers=[WORLD, service("IDLE", latest=failed)]) as server:
        code, _, err = await wait(server, monkeypatch)
    assert code == ExitCode.FAILED
    assert err == "hello is not healthy: hello-1 exited with code 1\n    Traceback\nwhat to do: Mend it.\n"


@pytest.mark.parametrize(("state", "code"), [("DONE", 0), ("PARTLY", 1), ("FAILED", 1), ("CANCELLED", 5)])
async def test_a_change_ends_as_deploy_does(state: str, code: int, monkeypatch: pytest.MonkeyPatch):
    there = {"data": {"change": change(state, deployment("SUCCEEDED"), id=CHANGE_ID)}}
    async with scripted(answers=[WORLD, there, there]) as server:
        assert (await wait(server, monkeypatch, CHANGE_ID))[0] == code


async def test_a_change_is_waited_for_until_somebody_has_to_approve(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "OTHERWISE", 30.0)
    there = [
        {"data": {"change": change(state, id=CHANGE_ID)}}
        for state in ("PLANNING", "PLANNING", "AWAITING_APPROVAL")
    ]
    step = transition(CHANGE_ID, "planning", "awaiting_approval", kind="CHANGE", service=None)
    others = transition(CHANGE, "planning", "applying", kind="CHANGE", service=None)
    async with scripted(answers=[WORLD, *there], streams=[moving(others, step)]) as server:
        code, out, _ = await wait(server, monkeypatch, CHANGE_ID, "awaiting-approval")
    assert code == 0
    assert out.splitlines()[-1] == f"change {CHANGE_ID} is awaiting approval"


async def test_a_deployment_is_found_where_there_is_no_change(monkeypatch: pytest.MonkeyPatch):
    none = {"data": {"change": None}}
    there = {"data": {"deployment": deployment("SUPERSEDED", id=CHANGE_ID)}}
    async with scripted(answers=[WORLD, none, there, there]) as server:
        code, _, err = await wait(server, monkeypatch, CHANGE_ID)
    assert code == ExitCode.CANCELLED
    assert "is not done: it is superseded" in err


async def test_a_service_that_is_gone_is_retired(monkeypatch: pytest.MonkeyPatch):
    none = {"data": {"service": None}}
    async with scripted(answers=[WORLD, none]) as server:
        assert (await wait(server, monkeypatch, until="retired"))[0] == 0
    async with scripted(answers=[WORLD, none]) as server:
        with pytest.raises(NotFound):
            await wait(server, monkeypatch)


async def test_what_it_never_is_is_refused(monkeypatch: pytest.MonkeyPatch):
    async with scripted(answers=[WORLD]) as server:
        with pytest.raises(InputError, match="a service is never awaiting-approval"):
            await wait(server, monkeypatch, until="awaiting-approval")
