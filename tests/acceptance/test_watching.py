"""Edits of a folder become deployments: by `up` here, by `push --watch` anywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from typing import Any

from tests.acceptance.test_cli import HELLO, PATIENCE, Host, get, host, project, until
from tests.house import put

__all__ = ["host"]

DOCKERFILE = (HELLO / "Dockerfile").read_text()


def saying(text: str) -> str:
    return DOCKERFILE.replace("Hello from deployd!", text)


def answers(host: Host, text: str, name: str = "hello") -> None:
    """Wait until the service says it."""

    def said() -> str:
        [address] = [one["address"] for one in host.json("status") if one["name"] == name] or [None]
        try:
            return get(address) if address else ""
        except OSError:
            return ""

    until(lambda: said() == f"{text}\n", lambda: said() + "".join(map(host.said, host.programs)))


def changes(said: str) -> int:
    return len(re.findall(r"^\d\d:\d\d:\d\d edited: ", said, re.MULTILINE))


def test_up_deploys_what_is_edited(host: Host):
    folder = project(host, "project", _gitignore="build/\n*.log\n", _dockerignore="*.md\n")
    up = host.start("up", str(folder))
    host.hears(up, "what is edited is deployed; Ctrl-C ends it")

    put(folder / "Dockerfile", saying("Edited"))
    answers(host, "Edited")
    host.hears(up, "hello answers at")
    assert re.search(r"^\d\d:\d\d:\d\d edited: Dockerfile$", host.said(up), re.MULTILINE), host.said(up)
    until(lambda: "verifying → succeeded" in host.said(up), "its steps are told")

    # What git ignores is no edit; what changes nothing of a service is nothing to do.
    (folder / "build").mkdir()
    for number in range(20):
        (folder / "build" / str(number)).write_text("x")
        (folder / "some.log").write_text(str(number))
    time.sleep(0.5)
    (folder / "README.md").write_text("x")
    host.hears(up, "edited: README.md")
    until(lambda: re.search(r"^nothing to do$", host.said(up), re.MULTILINE), lambda: host.said(up))
    assert changes(host.said(up)) == 2

    # A broken manifest is told, and mended by the next edit.
    manifest = (folder / "deployd.yaml").read_text()
    put(folder / "deployd.yaml", manifest + "nonsense: 1\n")
    host.hears(up, "is an unknown key")
    put(folder / "Dockerfile", saying("Mended"))
    put(folder / "deployd.yaml", manifest)
    answers(host, "Mended")
    assert len(host.json("history", "hello")) == 3

    # Somebody goes back: no edit brings back what was left, until somebody lifts that.
    assert "held: release 3, by " in host.run("rollback", "hello")
    answers(host, "Edited")
    (folder / "README.md").write_text("y")
    host.hears(up, "hello: held, as what release 3 was made of, by ")
    refused = host.run("deploy", str(folder), "--service", "hello", code=1)
    assert "what to do: Lift it: deployd hold hello --lift" in refused
    assert re.search(r"^hello +serving, held +healthy +2 ", host.run("status"), re.MULTILINE)
    assert re.search(
        r"^held +release 3, by \S+ since .* \(rolled back to release 2\)$",
        host.run("service", "show", "hello"),
        re.MULTILINE,
    )
    answers(host, "Edited")
    assert "hello is not held any more" in host.run("hold", "hello", "--lift")
    assert "is not held" in host.run("hold", "hello", "--lift", code=2)
    (folder / "README.md").write_text("z")
    answers(host, "Mended")

    # A service that comes later is one of its own: it is shown, and ends with it.
    (folder / "more").mkdir()
    shutil.copy(HELLO / "server.py", folder / "more")
    (folder / "more" / "Dockerfile").write_text(saying("More"))
    more = (
        "deployd: 1\nservices:\n  hello: {port: 8080, health: /healthz}\n  more: {build: more, port: 8080}\n"
    )
    put(folder / "deployd.yaml", more)
    answers(host, "More", "more")
    get(host.json("status", "more")["address"] + "/?of-the-new-one")
    host.hears(up, "/?of-the-new-one")
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0
    assert "suspending hello, more" in host.said(up)
    assert host.server() is None


def test_edits_during_a_deployment_are_one_change_after_it(host: Host):
    folder = project(host, "project")
    up = host.start("up", str(folder))
    host.hears(up, "Ctrl-C ends it")
    slow = (
        (HELLO / "server.py")
        .read_text()
        .replace("def main():", "def main():\n    import time; time.sleep(2)")
    )
    put(folder / "server.py", slow)
    until(lambda: changes(host.said(up)) == 1, lambda: host.said(up))
    for number in range(5):
        put(folder / "Dockerfile", saying(f"Edit {number}"))
        time.sleep(0.05)
    answers(host, "Edit 4")
    assert changes(host.said(up)) <= 3
    states = [one["state"] for one in host.json("history", "hello")]
    assert set(states) == {"SUCCEEDED"}
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0


def test_an_edit_that_fails_leaves_what_serves(host: Host):
    folder = project(host, "project")
    up = host.start("up", str(folder))
    host.hears(up, "Ctrl-C ends it")
    put(folder / "server.py", "raise SystemExit('no database')\n")
    host.hears(up, "failed and was rolled back")
    answers(host, "Hello from deployd!")
    shutil.rmtree(folder)
    host.hears(up, "is gone, so it is not watched any more")
    answers(host, "Hello from deployd!")
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0
    assert host.server() is None


def test_ctrl_c_cancels_the_deployment_of_an_edit(host: Host):
    folder = project(host, "project")
    up = host.start("up", str(folder))
    host.hears(up, "Ctrl-C ends it")
    slow = (
        (HELLO / "server.py")
        .read_text()
        .replace("def main():", "def main():\n    import time; time.sleep(50)")
    )
    put(folder / "server.py", slow)
    host.hears(up, "releasing → verifying")
    until(lambda: host.said(up).count("releasing → verifying") == 2, lambda: host.said(up))
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0, host.said(up)
    assert "cancelling the deployment" in host.said(up)
    assert "suspending hello" in host.said(up)
    assert host.server() is None


def test_up_without_watching_and_up_again(host: Host):
    folder = project(host, "project")
    host.run("up", str(folder), "-d")
    up = host.start("up", str(folder), "--no-watch")
    host.hears(up, "Ctrl-C ends it")
    address = host.json("status", "hello")["address"]
    assert f"hello: nothing to do, it serves this already, at {address}" in host.said(up)
    put(folder / "Dockerfile", saying("Edited"))
    get(f"{address}/?seen")
    host.hears(up, "/?seen")
    assert "edited" not in host.said(up)
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0
    assert "suspending hello" in host.said(up)


def test_all_services_and_those_that_are_affected(host: Host):
    folder = project(host, "project")
    host.run("up", str(folder), "-d")
    assert "hello: nothing to do, it serves this already, at http://" in host.run("deploy", str(folder))
    assert "hello answers at" in host.run("deploy", str(folder), "--all")
    assert "hello answers at" in host.run("push", str(folder), "--all")
    assert "hello: nothing to do" in host.run("push", str(folder))
    assert "hello answers at" in host.run("push", str(folder), "--service", "hello")
    said = [json.loads(line) for line in host.run("deploy", str(folder), "--json").splitlines()]
    assert (said[-1]["unaffected"], said[-1]["deployments"], said[-1]["state"]) == (["hello"], [], "done")
    assert [one["release"]["number"] for one in host.json("history", "hello")] == [4, 3, 2, 1]
    assert "not allowed with" in host.run("deploy", "--all", "--service", "hello", code=2)


def events(host: Host, program: subprocess.Popen[str], kind: str) -> list[Any]:
    lines = (json.loads(line) for line in host.said(program).splitlines() if line.startswith("{"))
    return [one for one in lines if one.get("event") == kind]


def test_pushing_again_sends_only_what_changed(host: Host):
    host.run("up", str(HELLO), "-d")
    folder = project(host, "project", Dockerfile=saying("First"), _gitignore="build/\n")
    # As large as a day's work, and as hard to compress.
    (folder / "large").write_bytes(os.urandom(3_000_000))
    (folder / "old.txt").write_text("x")
    push = host.start("push", str(folder), "--watch", "--json")
    until(lambda: len(events(host, push, "finished")) == 1, lambda: host.said(push))
    answers(host, "First")
    [first] = events(host, push, "uploaded")
    assert first["bytes"] > 3_000_000
    assert "files" not in first

    put(folder / "Dockerfile", saying("Second"))
    (folder / "old.txt").unlink()
    answers(host, "Second")
    until(lambda: len(events(host, push, "finished")) == 2, lambda: host.said(push))
    second = events(host, push, "uploaded")[1]
    assert (second["files"], second["removed"]) == (1, 1)
    assert second["bytes"] < 2_000
    assert events(host, push, "edited") == [{"event": "edited", "paths": ["Dockerfile", "old.txt"]}]

    # Ignored, or as it was: nothing is sent.
    (folder / "build").mkdir()
    (folder / "build" / "x").write_text("x")
    put(folder / "Dockerfile", saying("Second"))
    (folder / "large").touch()
    time.sleep(1)
    assert len(events(host, push, "uploaded")) == 2

    # A server that does not know the tree any more gets everything.
    [tree] = (host.home / "sources").glob("trees.git")
    aside = tree.rename(tree.with_name("aside"))
    put(folder / "Dockerfile", saying("Third"))
    until(lambda: len(events(host, push, "uploaded")) >= 4, lambda: host.said(push))
    answers(host, "Third")
    third, fourth = events(host, push, "uploaded")[2:]
    assert third["files"] == 1
    assert fourth["bytes"] > 3_000_000
    shutil.rmtree(aside)

    put(folder / "Dockerfile", saying("Fourth"))
    answers(host, "Fourth")
    until(lambda: len(events(host, push, "finished")) == 4, lambda: host.said(push))
    assert events(host, push, "uploaded")[4]["files"] == 1

    # What cannot be sent is told, and mended by the next edit.
    (folder / "bad").symlink_to("/etc/passwd")
    host.hears(push, "The link bad in")
    (folder / "bad").unlink()
    put(folder / "Dockerfile", saying("Fifth"))
    answers(host, "Fifth")
    shutil.rmtree(folder)
    assert push.wait(PATIENCE) == 2
    host.hears(push, "is gone")
    assert "Give one of the two" in host.run("push", str(HELLO), "--watch", "--no-wait", code=2)
