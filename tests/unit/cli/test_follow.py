import io
import json
from typing import Any

import pytest
from aiohttp import web

from deployd.cli.client import Client
from deployd.cli.follow import conclude, follow_change, view
from deployd.cli.terminal import Console
from deployd.errors import NotFound
from tests.unit.cli.scripted import Scripted, break_off, complete, scripted, send
from tests.unit.cli.told import CHANGE, WAY, change, deployment, reason, transition, way

Json = dict[str, Any]
ADDRESS = "http://127.0.0.1:24017"
OWN = [
    transition(CHANGE, None, "received", kind="CHANGE", service=None),
    transition(CHANGE, "received", "planning", kind="CHANGE", service=None),
    transition(CHANGE, "planning", "applying", kind="CHANGE", service=None),
]


def answer(content: Json | None) -> Json:
    return {"data": {"change": content}}


def stream(*batches: list[Json], ends: bool = False):
    async def run(socket: web.WebSocketResponse, payload: Json) -> None:
        for batch in batches:
            cursor = f"c{batch[-1]['seq']}"
            await send(socket, transitions={"transitions": batch, "cursor": cursor})
        await (complete if ends else break_off)(socket)

    return run


async def follow(server: Scripted, *, as_json: bool = False) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    console = Console(json=as_json, out=out, err=err, environ={})
    async with Client(server.url) as client:
        shown = view(console, "reading /src")
        progress = await follow_change(client, "local", "c0", CHANGE, shown)
        return conclude(console, progress), out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No snapshots but those that the answers are for, however long a test takes."""
    monkeypatch.setattr("deployd.cli.follow.REFRESH", 3600)


async def test_a_change_is_followed_across_a_break():
    done = transition(CHANGE, "applying", "done", kind="CHANGE", service=None)
    others = transition("another", "queued", "fetching", service="someone-elses")
    steps = way(*WAY)
    answers = [
        answer(change("RECEIVED")),
        answer(change("APPLYING", deployment("QUEUED"))),
        answer(change("DONE", deployment("SUCCEEDED", address=ADDRESS))),
    ]
    streams = [stream([*OWN, steps[0]], [others, *steps[1:4]]), stream([*steps[4:], done], ends=True)]
    async with scripted(answers=answers, streams=streams) as server:
        code, out, err = await follow(server)
    assert code == 0
    assert err == ""
    told = out.splitlines()
    told.remove("the server is away; trying again")  # whenever that is noticed
    assert [line.partition(" ")[2] for line in told] == [
        "change received",
        "change received → planning",
        "change planning → applying",
        "hello deployment queued",
        "hello deployment queued → fetching",
        "hello deployment fetching → planning",
        "hello deployment planning → building",
        "hello deployment building → provisioning",
        "hello deployment provisioning → releasing",
        "hello deployment releasing → verifying",
        "hello deployment verifying → succeeded",
        "change applying → done",
        f"answers at {ADDRESS}",
    ]
    assert [one["variables"]["after"] for one in server.subscribed] == ["c0", f"c{steps[3]['seq']}"]


async def test_a_failure_is_one_plain_block():
    because = reason("hello-1 exited with code 1", "Traceback\nRuntimeError: no", "Mend it.")
    failed = transition(CHANGE, "applying", "failed", kind="CHANGE", service=None, because=because)
    steps = way("queued", "fetching", "verifying", "rolling_back", "failed")
    answers = [
        answer(change("APPLYING", deployment("QUEUED"))),
        answer(change("FAILED", deployment("FAILED", reason=because), reason=because)),
    ]
    async with scripted(answers=answers, streams=[stream([*OWN, *steps, failed], ends=True)]) as server:
        code, _, err = await follow(server)
    assert code == 1
    assert err == (
        "hello failed in verifying: hello-1 exited with code 1\n"
        "    Traceback\n    RuntimeError: no\nwhat to do: Mend it.\n"
    )


async def test_programs_get_objects():
    done = transition(CHANGE, "applying", "done", kind="CHANGE", service=None)
    answers = [
        answer(change("APPLYING", deployment("QUEUED"))),
        answer(change("DONE", deployment("SUCCEEDED", address=ADDRESS))),
    ]
    async with scripted(answers=answers, streams=[stream([*way(*WAY), done], ends=True)]) as server:
        code, out, _ = await follow(server, as_json=True)
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [one["toState"] for one in events[:-1]] == [*WAY, "done"]
    assert {one["event"] for one in events[:-1]} == {"transition"}
    assert events[-1]["event"] == "finished"
    assert events[-1]["exit_code"] == 0
    assert events[-1]["deployments"][0]["address"] == ADDRESS


async def test_a_change_that_is_not_there_is_said():
    async def waits(socket: web.WebSocketResponse, payload: Json) -> None:
        await socket.receive()

    async with scripted(answers=[answer(None)], streams=[waits]) as server:
        with pytest.raises(NotFound, match=CHANGE):
            await follow(server)


async def test_a_cursor_that_is_too_old_is_followed_from_what_there_is_now():
    done = transition(CHANGE, "applying", "done", kind="CHANGE", service=None)
    moved = {"updatedAt": done["at"]}
    answers = [
        answer(change("RECEIVED", **moved)),
        answer(change("APPLYING", deployment("RELEASING"), **moved)),
        answer(change("DONE", deployment("SUCCEEDED", address=ADDRESS), **moved)),
    ]

    async def run(socket: web.WebSocketResponse, payload: Json) -> None:
        expired = {"__typename": "CursorExpired", "message": "it is not kept any more", "cursor": "fresh"}
        await send(socket, transitions=expired)
        for batch in ([transition("deployment-1", "releasing", "verifying")], way(*WAY)[-1:]):
            await send(socket, transitions={"transitions": batch, "cursor": "c1"})
        await break_off(socket)

    async with scripted(answers=answers, streams=[run, stream([done], ends=True)]) as server:
        code, out, err = await follow(server)
    assert (code, err) == (0, "")
    told = [line.partition(" ")[2] for line in out.splitlines() if "away" not in line]
    assert "is not kept any more" in told[0]
    assert told[1:] == [
        "hello deployment releasing → verifying",
        "hello deployment verifying → succeeded",
        "change applying → done",
        f"answers at {ADDRESS}",
    ]
    assert [one["variables"]["after"] for one in server.subscribed] == ["c0", "c1"]
