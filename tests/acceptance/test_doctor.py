"""doctor against a real installation, from before its first start; what its log and its metrics say then."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.acceptance.test_cli import HELLO, Host, host, until

__all__ = ["host"]


def levels(found: list[dict[str, Any]]) -> dict[str, str]:
    return {one["check"]: one["level"] for one in found}


def doctor(host: Host, *, code: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(host.run("doctor", "--json", code=code))
    return found


def test_an_installation(host: Host) -> None:
    before = levels(doctor(host, code=1))
    assert [check for check, level in before.items() if level != "ok"] == ["server"]

    host.environ["DEPLOYD_LOG_FORMAT"] = "json"
    server = host.start("serve")
    until(lambda: host.server() is not None, lambda: host.said(server))
    host.run("deploy", str(HELLO))
    well = doctor(host, code=0)
    assert set(levels(well).values()) == {"ok"}, well
    assert {"token", "schema", "workers", "secrets", "capabilities", "processes", "entrypoint"} <= set(
        levels(well)
    )
    assert "all is well" in host.run("doctor")

    (host.home / "token").chmod(0o644)
    seen = host.run("doctor", code=1)
    assert f"✘ home          other users can read token in {host.home}" in seen
    assert "→ chmod 600" in seen
    (host.home / "token").chmod(0o600)
    host.environ["DEPLOYD_TOKEN"] = "another"
    assert levels(doctor(host, code=1))["token"] == "wrong"
    del host.environ["DEPLOYD_TOKEN"]

    url, token = host.json("version")["url"], (host.home / "token").read_text().strip()
    request = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    assert 'deployd_machines{kind="service",state="serving",world="local"} 1.0' in text
    assert 'driver="deploy:process",method="apply",outcome="done"' in text

    lines = [json.loads(line) for line in host.said(server).splitlines()]
    moves = [one for one in lines if one["logger"] == "deployd.transitions"]
    assert [one["seq"] for one in moves] == list(range(1, len(moves) + 1))
    assert {one["world"] for one in moves} == {"local"}
    [change] = {one["change"] for one in moves if one["kind"] == "deployment"}
    assert {one["trace"] for one in moves if one.get("change") == change} == {change.replace("-", "")}
