"""hold, rollback, service scale and resources by hand, with a server that is told what to say."""

import json
from datetime import datetime
from typing import Any

import pytest

from deployd.cli import deploying, holds, scaling, standing
from deployd.cli.arguments import parser
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.progress import Progress
from deployd.errors import Conflict, DeploydError, InputError, NotFound
from tests.unit.cli.scripted import scripted
from tests.unit.cli.told import change

AT = "2026-03-04T12:03:04+00:00"
ASKED = {"__typename": "Service", "id": "1", "name": "cart"}
HISTORY = {
    "data": {
        "service": {
            "releases": {
                "nodes": [{"number": 2, "id": "r2"}, {"number": 1, "id": "r1"}],
                "pageInfo": {"hasNextPage": False, "endCursor": None},
            }
        }
    }
}


def hold(number: int | None = None, note: str = "") -> dict[str, Any]:
    release = None if number is None else {"id": f"r{number}", "number": number}
    return {"release": release, "by": "person:ada", "at": AT, "note": note}


def service(*there: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"data": {"service": {"id": "1", "name": "cart", "state": "SERVING", "holds": there, **other}}}


async def run(verb: Any, script: list[Any], *argv: str) -> tuple[int, list[Any]]:
    """Its exit code, and the variables of what it asked."""
    async with scripted(answers=script) as server:
        arguments = parser().parse_args([*argv, "--server", server.url])
        code = int(await verb(Options.of(arguments), arguments))
        assert server.answers == []
        given = [one["variables"] for one in server.asked]
        return code, [{key: one[key] for key in one if key != "idempotencyKey"} for one in given]


async def test_a_hold_is_asked_for_and_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    script = [service(), {"data": {"hold": ASKED}}, service(), service(hold(note="sale"))]
    code, asked = await run(holds.hold, script, "hold", "cart", "--note", "sale")
    assert code == ExitCode.DONE
    assert asked[1] == {"world": "local", "service": "cart", "release": None, "note": "sale"}
    assert capsys.readouterr().out == "cart is held; to lift it: deployd hold cart --lift\n"
    script = [service(), HISTORY, {"data": {"hold": ASKED}}, service(hold(2))]
    _, asked = await run(holds.hold, script, "hold", "cart", "--release", "2", "--json")
    assert asked[2]["release"] == "r2"
    assert json.loads(capsys.readouterr().out) == {"service": "cart", "release": 2, "asked": "hold"}
    script = [service(), HISTORY, {"data": {"hold": ASKED}}]
    await run(holds.hold, script, "hold", "cart", "--release", "1", "--no-wait")
    assert capsys.readouterr().out.endswith("deployd hold cart --release 1 --lift\n")


async def test_lifting_is_waited_for_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [service(), HISTORY, {"data": {"liftHold": ASKED}}, service(hold(2), hold()), service(hold())]
    await run(holds.hold, script, "hold", "cart", "--release", "2", "--lift")
    script = [service(), {"data": {"liftHold": ASKED}}, service(hold()), service()]
    await run(holds.hold, script, "hold", "cart", "--lift")
    assert capsys.readouterr().out == "release 2 of cart is not held any more\ncart is not held any more\n"
    with pytest.raises(InputError, match="--note"):
        await run(holds.hold, [], "hold", "cart", "--lift", "--note", "x")
    with pytest.raises(NotFound, match="has no release 7"):
        await run(holds.hold, [service(), HISTORY], "hold", "cart", "--release", "7")
    monkeypatch.setattr(holds, "WAITING", 0.0)
    script = [service(), {"data": {"liftHold": ASKED}}, service(hold(), reason=None)]
    with pytest.raises(DeploydError, match="not told"):
        await run(holds.hold, script, "hold", "cart", "--lift")


def test_holds_are_told() -> None:
    since = datetime.fromisoformat(AT).astimezone().strftime("%Y-%m-%d %H:%M")
    assert holds.held({"holds": [hold(2, "no"), hold()]}) == [
        f"release 2, by person:ada since {since} (no)",
        f"the service, at what it serves, by person:ada since {since}",
    ]
    progress = Progress()
    progress.absorb(change("DONE"))
    assert progress.held() == []
    progress.unaffected = {"cart": None, "web": None}
    assert progress.held() == []


async def test_a_rollback_warns_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    warned = {"data": {"service": {"rollbackWarnings": ['release 5 ran before: "migrate"']}}}
    cursor = {"data": {"world": {"name": "local", "cursor": "c"}}}
    refused = {"data": {"rollback": {"__typename": "Problem", "code": "CONFLICT", "message": "it is held",
                                     "remedy": "", "evidence": ""}}}  # fmt: skip
    with pytest.raises(Conflict, match="it is held"):
        await run(deploying.rollback, [cursor, service(), warned, refused], "rollback", "cart")
    assert capsys.readouterr().out == 'cart: release 5 ran before: "migrate"\n'
    with pytest.raises(Conflict):
        await run(deploying.rollback, [cursor, service(), warned, refused], "rollback", "cart", "--json")
    assert json.loads(capsys.readouterr().out)["event"] == "warning"


async def test_scaling_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"data": {"scale": ASKED}}
    states = [
        {"copies": 1, "running": 1, "health": "HEALTHY"},
        {"copies": 3, "running": 1, "health": "HEALTHY"},
        {"copies": 3, "running": 3, "health": "PROGRESSING"},
        {"copies": 3, "running": 3, "health": "HEALTHY"},
    ]
    script = [asked, *(service(**one) for one in states)]
    code, variables = await run(scaling.scale, script, "service", "scale", "cart", "3")
    assert (code, variables[0]["copies"]) == (ExitCode.DONE, 3)
    suspended = service(state="SUSPENDED", copies=2, running=0, health="SUSPENDED")
    await run(scaling.scale, [asked, suspended], "service", "scale", "cart", "2", "--json")
    await run(scaling.scale, [asked], "service", "scale", "cart", "1", "--no-wait")
    first, *document, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("cart: 3 copies shall run", "cart: 1 copy asked for")
    assert json.loads("".join(document))["copies"] == 2


def resource(state: str = "READY", health: str = "HEALTHY", **other: Any) -> dict[str, Any]:
    made = {"name": "orders", "world": "local", "slug": "postgres", "type": "postgres", "state": state,
            "health": health, "ownership": "MANAGED", "standing": True, "services": [], "outputs": ["url"],
            "params": [{"name": "connections", "value": "7"}], "id": "1", "updatedAt": AT,
            "reason": None}  # fmt: skip
    return {"data": {"resource": made | other}}


async def test_resources_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    made = {"__typename": "Resource", "id": "1", "name": "orders"}
    script = [{"data": {"createResource": made}}, resource("CREATING"), resource()]
    argv = ("resource", "create", "orders", "postgres", "--param", "connections=7", "--param", "a=b=c")
    _, asked = await run(standing.create, script, *argv)
    assert asked[0]["params"] == [{"name": "connections", "value": "7"}, {"name": "a", "value": "b=c"}]
    script = [resource(), {"data": {"updateResource": made}}, resource(), resource(updatedAt="later")]
    await run(standing.update, script, "resource", "update", "orders", "--param", "connections=9")
    script = [{"data": {"adoptResource": made}}, resource(standing=False), resource()]
    await run(standing.adopt, script, "resource", "adopt", "orders")
    await run(standing.adopt, [{"data": {"adoptResource": made}}], "resource", "adopt", "orders", "--no-wait")
    assert capsys.readouterr().out.splitlines() == [
        "resource orders is ready",
        "resource orders is updated",
        "resource orders stands by itself",
        "resource orders: adopt is asked for",
    ]
    why = {"code": "X", "summary": "the quota is used up", "evidence": "", "remedy": "", "fault": "FAILED"}
    with pytest.raises(DeploydError, match="quota"):
        await run(
            standing.create, [{"data": {"createResource": made}}, resource("FAILED", reason=why)], *argv
        )
    with pytest.raises(InputError, match="no parameter"):
        await run(standing.create, [], "resource", "create", "orders", "postgres", "--param", "7")
    await run(standing.show_one, [resource(reason=why)], "resource", "show", "orders")
    said = capsys.readouterr().out
    assert "managed, stands by itself" in said
    assert "connections=7" in said
    assert "the quota is used up" in said
    with pytest.raises(NotFound):
        await run(standing.show_one, [{"data": {"resource": None}}], "resource", "show", "orders")
