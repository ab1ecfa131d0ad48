"""`deployd plan`, from the command line to a server here, and to one elsewhere."""

from __future__ import annotations

import json

from tests.acceptance.test_cli import Host, host, project

__all__ = ["host"]


def test_a_plan_says_what_a_deployment_then_does(host: Host) -> None:
    folder = project(host, "project")
    host.run("up", str(folder), "-d")
    said = host.run("plan", str(folder), "--exit-code")
    assert said == "= 1 unchanged: service hello\n\nnothing to do, 1 unchanged\n"

    manifest = folder / "deployd.yaml"
    manifest.write_text(manifest.read_text() + "  env: {GREETING: good day}\n")
    server = folder / "server.py"
    server.write_text(server.read_text() + "# more\n")
    said = host.run("plan", str(folder), "--exit-code", code=6)
    assert "> service hello\n    rolling: release 1 ends once the new release is healthy\n" in said
    assert "    env.GREETING  + good day\n" in said
    assert said.endswith("\n1 to roll\n> roll; nothing was done\n")
    here = host.json("plan", str(folder))
    assert [(one["kind"], one["name"], one["action"]) for one in here["items"]] == [
        ("service", "hello", "roll")
    ]
    assert (here["state"], here["summary"]["roll"], here["approval"]) == ("planned", 1, False)
    assert len(host.json("history", "hello")) == 1

    # The same host under another name is another server: it is sent the files, less what git ignores.
    (folder / ".gitignore").write_text("")
    running = json.loads((host.home / "server.json").read_text())["url"]
    elsewhere = host.json("plan", str(folder), "--server", running.replace("127.0.0.1", "localhost"))
    assert elsewhere["source"]["directory"] is None
    assert [one["path"] for one in elsewhere["items"][0]["fields"]] == ["env.GREETING", "source"]

    host.run("deploy", str(folder))
    assert "nothing to do" in host.run("plan", str(folder), "--exit-code")
    manifest.write_text("deployd: 1\nservice: {name: hello, prot: 80}\n")
    said = host.run("plan", str(folder), code=1)
    assert "deployd.yaml:2:24" in said
