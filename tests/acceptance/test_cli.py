"""From the command line to running services: real servers, real processes, real signals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.warm import COMMAND_LINE
from tests.conftest import scratch
from tests.integration.store.servers import processes
from tests.ports import free_port

HELLO = Path(__file__).parents[2] / "examples" / "hello"
PATIENCE = 60.0
"""Seconds until something that should happen has not."""


@dataclass
class Host:
    """One home, and the programs that were started with it."""

    home: Path
    environ: dict[str, str]
    programs: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *argv: str, code: int = 0) -> str:
        """A verb that ends; what it said."""
        ended = COMMAND_LINE.run(argv, self.environ, PATIENCE)
        said = ended.stdout + ended.stderr
        assert ended.returncode == code, said
        return said

    def json(self, *argv: str) -> Any:
        return json.loads(self.run(*argv, "--json"))

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """A verb that stays; its lines go to a file, so that it never waits for a reader."""
        with (self.home.parent / f"out-{len(self.programs)}").open("w") as out:
            program = subprocess.Popen(
                [sys.executable, "-m", "deployd.cli.main", *argv],
                env=self.environ,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.programs.append(program)
        return program

    def said(self, program: subprocess.Popen[str]) -> str:
        return (self.home.parent / f"out-{self.programs.index(program)}").read_text()

    def hears(self, program: subprocess.Popen[str], text: str) -> None:
        """Wait until the program has said it."""
        until(lambda: text in self.said(program), lambda: f"{text!r} in\n{self.said(program)}")

    def forget(self) -> None:
        shutil.rmtree(self.home)

    def server(self) -> int | None:
        try:
            return int(json.loads((self.home / "server.json").read_text())["pid"])
        except OSError:
            return None


def until(true: Any, what: Any) -> None:
    ending = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ending, what() if callable(what) else what
        time.sleep(0.05)


@pytest.fixture
def host(cluster: Path) -> Iterator[Host]:
    """With a database that is made already; `forget` leaves a host where nothing ever ran."""
    # Not pytest's own folder: the embedded Postgres runs as another user, who has to pass through.
    root = scratch("deployd-cli-")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOYD_")}
    environ |= {"DEPLOYD_HOME": str(root / "home"), "DEPLOYD_PORT": "0", "DEPLOYD_ENTRYPOINT_PORT": "0"}
    one = Host(root / "home", dict(environ))
    one.home.mkdir(mode=0o711)
    subprocess.run(["cp", "-a", cluster, one.home / "postgres"], check=True)
    try:
        yield one
    finally:
        for program in one.programs:
            if program.poll() is None:
                program.kill()
            program.wait()
        try:
            one.environ = environ  # whatever the test has made of it, nothing may be left running
            if one.server() is not None or processes(str(root)):
                one.run("down")
        finally:
            if (pid := one.server()) is not None:
                os.kill(pid, signal.SIGTERM)
                until(lambda: one.server() is None, "the server ends")
            shutil.rmtree(root, ignore_errors=True)


def project(host: Host, name: str, **lines: str) -> Path:
    """A copy of the example, changed."""
    folder = host.home.parent / name
    shutil.copytree(HELLO, folder, dirs_exist_ok=True)
    for path, text in lines.items():
        (folder / path.replace("_", ".")).write_text(text)
    return folder


def process(host: Host, name: str = "hello", before: int | None = None) -> int:
    """A service's, told by the first look at it, after its deployment; `before`: of what served before."""
    until(lambda: host.json("status", name)["pid"] not in (None, before), "its process is told")
    return int(host.json("status", name)["pid"])


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def test_up_and_down_and_what_is_seen_between(host: Host):
    host.forget()
    said = host.run("up", str(HELLO), "-d")
    found = re.search(r"^hello answers at (http://127\.0\.0\.1:\d+)$", said, re.MULTILINE)
    assert found, said
    assert re.search(r"^\d\d:\d\d:\d\d hello deployment fetching → planning$", said, re.MULTILINE)
    assert get(found[1]) == "Hello from deployd!\n"

    [service] = host.json("status")
    assert (service["name"], service["state"], service["health"]) == ("hello", "SERVING", "HEALTHY")
    assert service["address"] == found[1]
    assert re.search(rf"^hello +serving +healthy +1 +{found[1]} +\d+s$", host.run("status"), re.MULTILINE)
    pid = process(host)
    assert host.json("status")[0]["pid"] == pid

    [deployment] = host.json("history", "hello")
    assert (deployment["state"], deployment["release"]["number"]) == ("SUCCEEDED", 1)
    assert deployment["id"] in host.run("history", "hello")
    until(lambda: "GET / 200" in host.run("logs", "hello") or "GET /" in host.run("logs", "hello"), "logged")
    assert "listening on port" in host.run("logs", "hello", "--tail", "1000")

    version = host.json("version")
    assert version["server"] == version["version"]
    assert "suspending hello" in host.run("down")
    assert host.server() is None
    with pytest.raises(OSError):  # noqa: PT011 - refused, reset: it answers no more
        get(found[1])


def test_down_with_nothing_running_says_so(host: Host):
    host.forget()
    assert host.run("down") == "nothing is running\n"


def test_a_failed_deployment_is_told_and_leaves_nothing(host: Host):
    broken = project(host, "broken", server_py="raise SystemExit('no database at db:5432')\n")
    said = host.run("up", str(broken), "-d", code=1)
    assert "hello failed in" in said
    assert "    no database at db:5432" in said
    assert "what to do: " in said
    assert host.server() is None


def test_a_wrong_manifest_is_told_with_its_place(host: Host):
    wrong = project(host, "wrong", deployd_yaml="deployd: 1\nservice:\n  name: hello\n  prot: 8080\n")
    said = host.run("up", str(wrong), "-d", code=1)
    assert "deployd.yaml:4:3" in said


def test_a_failed_redeployment_leaves_what_serves(host: Host):
    folder = project(host, "project")
    host.run("up", str(folder), "-d")
    project(host, "project", server_py="raise SystemExit('broken')\n")
    said = host.run("deploy", str(folder), code=1)
    assert "hello failed and was rolled back in" in said
    [service] = host.json("status")
    assert (service["state"], service["serving"]["number"]) == ("SERVING", 1)
    assert get(service["address"]) == "Hello from deployd!\n"
    assert "latest deployment rolled back" in host.run("status")


def test_release_by_release(host: Host):
    folder = project(host, "project")
    host.run("up", str(folder), "-d")
    docker = (HELLO / "Dockerfile").read_text().replace("Hello from deployd!", "Second")
    project(host, "project", Dockerfile=docker)
    host.run("deploy", str(folder))
    assert get(host.json("status", "hello")["address"]) == "Second\n"
    host.run("rollback", "hello")
    assert get(host.json("status", "hello")["address"]) == "Hello from deployd!\n"
    host.run("rollback", "hello", "--to", "2")
    assert get(host.json("status", "hello")["address"]) == "Second\n"
    assert "has no release 9" in host.run("rollback", "hello", "--to", "9", code=2)
    host.run("hold", "hello", "--note", "the sale is on")
    assert "the service, at what it serves, by " in host.run("service", "show", "hello")
    host.run("hold", "hello", "--release", "1")
    assert [(one["release"] or {}).get("number") for one in host.json("status")[0]["holds"]] == [None, 1]
    host.run("hold", "hello", "--release", "1", "--lift")
    [hold] = host.json("service", "list")[0]["holds"]
    assert (hold["release"], hold["note"]) == (None, "the sale is on")
    host.run("hold", "hello", "--lift")
    assert "world local runs one copy of a service" in host.run("service", "scale", "hello", "2", code=2)
    assert "hello: 1 copy shall run" in host.run("service", "scale", "hello", "1")
    host.run("suspend", "hello")
    assert host.json("status", "hello")["state"] == "SUSPENDED"
    assert "hello is serving at http://" in host.run("resume", "hello")
    assert get(host.json("status", "hello")["address"]) == "Second\n"
    assert "is succeeded already" in host.run("cancel", "hello", code=2)
    host.run("retire", "hello")
    assert host.json("status") == []
    assert "has no service 'hello'" in host.run("status", "hello", code=2)


def test_ctrl_c_ends_exactly_what_up_began(host: Host):
    other = project(host, "other", deployd_yaml="deployd: 1\nservice:\n  name: other\n  port: 8080\n")
    up = host.start("up", str(HELLO))
    host.hears(up, "Ctrl-C ends it")
    host.run("deploy", str(other))
    addresses = {one["name"]: one["address"] for one in host.json("status")}
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0
    assert "suspending hello" in host.said(up)
    assert host.server() is None
    with pytest.raises(OSError):  # noqa: PT011 - refused, reset: it answers no more
        get(addresses["hello"])
    assert get(addresses["other"]) == "Hello from deployd!\n"
    assert "suspending other" in host.run("down")


def test_what_happens_while_up_stays_is_shown(host: Host):
    up = host.start("up", str(HELLO))
    host.hears(up, "Ctrl-C ends it")
    service = host.json("status", "hello")
    get(f"{service['address']}/?hello-there")
    host.hears(up, "/?hello-there")
    killed = process(host)
    os.kill(killed, signal.SIGKILL)
    until(
        lambda: re.search(r"^\d\d:\d\d:\d\d hello service serving: ", host.said(up), re.MULTILINE),
        lambda: host.said(up),
    )
    until(lambda: host.json("status", "hello")["health"] == "HEALTHY", "it is healthy again")
    assert process(host, before=killed) != killed
    host.run("suspend", "hello")
    assert up.wait(PATIENCE) == 0
    assert "nothing of it runs any more" in host.said(up)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_deployment_is_cancelled(host: Host, number: signal.Signals):
    slow = (
        (HELLO / "server.py")
        .read_text()
        .replace("def main():", "def main():\n    import time; time.sleep(50)")
    )
    up = host.start("up", str(project(host, "slow", server_py=slow)))
    host.hears(up, "releasing → verifying")
    up.send_signal(number)
    assert up.wait(PATIENCE) == 130
    assert "cancelling the deployment" in host.said(up)
    assert host.server() is None


def test_a_second_signal_hurries(host: Host):
    up = host.start("up", str(HELLO))
    host.hears(up, "Ctrl-C ends it")
    server = host.server()
    assert server is not None
    os.kill(server, signal.SIGSTOP)  # so that suspending takes as long as we like
    try:
        up.send_signal(signal.SIGINT)
        host.hears(up, "suspending hello")  # else both would be one
        assert up.poll() is None
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE) == 130
    finally:
        os.kill(server, signal.SIGCONT)
    until(lambda: host.server() is None, "the server ends")


def test_services_and_server_outlive_a_killed_up(host: Host):
    up = host.start("up", str(HELLO))
    host.hears(up, "Ctrl-C ends it")
    server, pid = host.server(), process(host)
    up.kill()
    up.wait()
    assert process(host) == pid
    again = host.start("up", str(HELLO))
    host.hears(again, "Ctrl-C ends it")
    assert host.server() == server
    again.send_signal(signal.SIGINT)
    assert again.wait(PATIENCE) == 0
    assert host.server() == server  # it was not this one's


def test_down_finds_services_whose_server_was_killed(host: Host):
    host.run("up", str(HELLO), "-d")
    address = host.json("status", "hello")["address"]
    server = host.server()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    assert get(address) == "Hello from deployd!\n"
    assert "suspending hello" in host.run("down")
    with pytest.raises(OSError):  # noqa: PT011 - refused, reset: it answers no more
        get(address)


def test_following_logs_survives_the_server(host: Host):
    host.environ["DEPLOYD_PORT"] = str(free_port())  # the next server's as well
    host.run("up", str(HELLO), "-d")
    logs = host.start("logs", "-f", "hello")
    host.hears(logs, "listening on port")
    server = host.server()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    serve = host.start("serve")
    until(lambda: host.server() not in (None, server), "the server is back")
    get(f"{host.json('status', 'hello')['address']}/?after")
    host.hears(logs, "/?after")
    assert host.said(logs).count("listening on port") == 1
    logs.send_signal(signal.SIGINT)
    assert logs.wait(PATIENCE) == 130
    serve.send_signal(signal.SIGTERM)
    assert serve.wait(PATIENCE) == 0


def test_a_wrong_token_is_refused(host: Host):
    host.run("up", str(HELLO), "-d")
    host.environ["DEPLOYD_TOKEN"] = "wrong"
    assert "the token is not valid" in host.run("status", code=4)
    assert "what to do: " in host.run("logs", "hello", "-f", code=4)


def test_a_server_that_dies_at_its_start_is_told(host: Host):
    host.environ["DEPLOYD_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    said = host.run("up", str(HELLO), "-d", code=3)
    assert "the server ended with status 1" in said
    assert "    deployd: " in said


def test_on_a_terminal_lines_are_redrawn_and_the_cursor_comes_back(host: Host):
    leader, follower = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "deployd.cli.main", "up", str(HELLO), "-d"],
        env=host.environ | {"TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    screen = b""
    ending = time.monotonic() + PATIENCE
    while time.monotonic() < ending:
        if not select.select([leader], [], [], 0.1)[0]:
            continue
        try:
            read = os.read(leader, 65536)
        except OSError:  # the program has ended
            break
        screen += read
    os.close(leader)
    assert program.wait(PATIENCE) == 0, screen
    text = screen.decode()
    assert "⠋" in text or "⠙" in text or "⠹" in text
    assert "✔" in text
    assert "hello answers at http://127.0.0.1:" in text
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l") >= 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
