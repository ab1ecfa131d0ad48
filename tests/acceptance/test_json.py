"""What programs read: `--json` of the verbs, as deployd/cli/shapes.py says, from a server that runs."""

from __future__ import annotations

import json
from typing import Any

from deployd.cli.shapes import SHAPES
from tests.acceptance.test_cli import HELLO, PATIENCE, Host, host
from tests.acceptance.warm import COMMAND_LINE

__all__ = ["host"]


def said(one: Host, *argv: str, stdin: str = "", code: int = 0) -> Any:
    """Everything on stdout, read as the verb's shape says: a document, or the objects of its lines."""
    ended = COMMAND_LINE.run((*argv, "--json"), one.environ, PATIENCE, stdin)
    assert ended.returncode == code, ended.stdout + ended.stderr
    verb = argv[0] if argv[0] in SHAPES else " ".join(argv[:2])
    if not SHAPES[verb].lines:
        return json.loads(ended.stdout)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert all(line["event"] in SHAPES[verb].text for line in lines), lines
    return lines


def test_what_verbs_say_to_programs(host: Host) -> None:
    host.environ["XDG_CONFIG_HOME"] = str(host.home.parent / "config")
    *_, last = said(host, "up", "-d", str(HELLO))
    assert last["event"] == "note"
    [service] = said(host, "status")
    assert said(host, "status", "hello")["id"] == service["id"]
    [deployment] = said(host, "history", "hello")
    assert deployment["state"] == "SUCCEEDED"
    waited = said(host, "wait", "hello")
    assert (waited["reached"], waited["id"]) == (True, service["id"])
    assert said(host, "wait", deployment["id"])["state"] == "succeeded"
    assert {line["event"] for line in said(host, "logs", "hello")} == {"line"}
    *_, finished = said(host, "deploy", str(HELLO))
    assert (finished["exit_code"], finished["unaffected"]) == (0, ["hello"])
    assert said(host, "secret", "set", "key", stdin="x")["name"] == "key"
    assert [one["name"] for one in said(host, "secret", "list")] == ["key"]
    assert said(host, "secret", "unset", "key")["name"] == "key"
    assert said(host, "resource", "list") == []
    assert said(host, "world", "create", "other")["name"] == "other"
    assert {one["name"] for one in said(host, "world", "list")} == {"local", "other"}
    assert said(host, "world", "gate") == []
    assert set(said(host, "world", "retire", "other", "--no-wait")) == {"id"}
    assert said(host, "token", "create", "ci")["value"]
    assert "ci" in {one["name"] for one in said(host, "token", "list")}
    assert said(host, "token", "revoke", "ci")["revokedAt"]
    assert said(host, "can-i", "deploy")["allowed"] is True
    assert said(host, "audit", "-n", "2")
    assert {one["name"] for one in said(host, "maintenance")} >= {"partitions", "transitions", "releases"}
    would = said(host, "maintenance", "--dry-run")
    assert {one["outcome"] for one in would["runs"]} == {"DONE"}
    did = said(host, "maintenance", "partitions", "sources", "--run")
    assert [one["summary"] for one in did["runs"]] == ["nothing to do"] * 2
    [shown] = [one for one in said(host, "maintenance", "sweep") if one["host"] is None]
    assert (shown["nextRunAt"] is None, shown["lastRunAt"]) == (False, None)
    assert "partitions -" in " ".join(host.run("maintenance").split())
    url = said(host, "version")["url"]
    assert said(host, "context", "set", "here", "--server", url)["current"] is True
    assert [one["name"] for one in said(host, "context", "list")] == ["here"]
    assert said(host, "context", "show")["server"] == {"value": url, "from": "context here"}
    # What shells ask: names alone, and never an error.
    assert host.run("__complete", "services") == "hello\n"
    assert host.run("__complete", "worlds", "--world", "x").split()[0] == "local"
    assert host.run("__complete", "contexts") == "here\n"
    assert host.run("__complete", "services", "--server", "http://127.0.0.1:9") == ""
    assert host.run("__complete", "nonsense") == ""
    assert said(host, "context", "remove", "here")["current"] is False
    assert said(host, "completion", "bash")["shell"] == "bash"
    assert said(host, "suspend", "hello")["state"] == "suspended"
    assert said(host, "wait", "hello", "--for", "suspended")["reached"] is True
    assert said(host, "resume", "hello")["state"] == "serving"
    assert said(host, "retire", "hello")["service"] == "hello"
    assert said(host, "wait", "hello", "--for", "retired")["reached"] is True
    assert said(host, "down")
