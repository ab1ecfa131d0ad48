"""From the command line to `http://hello.localhost:PORT/`, and through everything that changes behind it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.test_cli import HELLO, Host, get, host, project, until
from tests.ports import free_port

__all__ = ["host"]

CLIENTS = 8
REDEPLOYMENTS = 5
TEXTS = re.compile(r"version (\d)\n" + "x" * 5000 + r"\1\n")
MANIFEST = "deployd: 1\nservice:\n  name: hello\n  run: python3 server.py\n  port: 8080\n  health: /\n"


@pytest.fixture
def port(host: Host) -> int:
    """The local addresses' port."""
    number = free_port()
    host.environ["DEPLOYD_ENTRYPOINT_PORT"] = str(number)
    return number


def ask(port: int, name: str = "hello.localhost") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def answers(port: int) -> bool:
    """Whether anybody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def proxy(host: Host) -> int | None:
    """The proxy's process, if it lives."""
    try:
        pid = int((host.home / "drivers" / "route-local" / "lock").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(host.home).encode() in command else None


SERVER = """import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = f"version VERSION\\n{'x' * 5000}VERSION\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:2000])
        if "slow" in self.path:
            self.wfile.flush()
            time.sleep(0.4)
        self.wfile.write(body[2000:])

    do_POST = do_GET

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # as rude as can be: nothing is finished
Server(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


def version(host: Host, number: int) -> Path:
    """A service that says its version at both ends of an answer, so that a mixture shows."""
    return project(host, "project", server_py=SERVER.replace("VERSION", str(number)), deployd_yaml=MANIFEST)


@dataclass
class Load:
    """Clients that ask without a pause, half of them on a connection that they keep."""

    port: int
    ended: threading.Event = field(default_factory=threading.Event)
    answers: list[list[str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.answers = [[] for _ in range(CLIENTS)]
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def work(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.ended.is_set():
            try:
                if number % 2:
                    connection.close()
                method, body = ("POST", b"y" * 100) if number in (2, 3) else ("GET", None)
                path = "/slow" if number in (4, 5) else "/"
                connection.request(method, path, body, headers={"Host": "hello.localhost"})
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200 and TEXTS.fullmatch(text):
                    self.answers[number].append(text[8])
                else:
                    self.failures.append(f"{answer.status} {text[:200]}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def test_redeployments_under_constant_load_fail_no_request(host: Host, port: int) -> None:
    folder = version(host, 0)
    host.run("up", str(folder), "-d")
    with Load(port) as load:
        for number in range(1, REDEPLOYMENTS + 1):
            host.run("deploy", str(version(host, number)))
            everyone_is_answered(load)
        host.run("rollback", "hello")
        everyone_is_answered(load)
    assert load.failures == []
    for answers in load.answers:
        told = [one for one, before in zip(answers, ["", *answers], strict=False) if one != before]
        assert told == [*map(str, range(REDEPLOYMENTS + 1)), str(REDEPLOYMENTS - 1)]
    assert min(map(len, load.answers)) > 2 * REDEPLOYMENTS
    assert ask(port)[1].startswith(f"version {REDEPLOYMENTS - 1}")


def everyone_is_answered(load: Load) -> None:
    """By requests that were sent from now on: one more was perhaps sent before."""
    before = [len(one) for one in load.answers]
    until(
        lambda: all(len(a) > b + 1 for a, b in zip(load.answers, before, strict=True)),
        lambda: f"everyone is answered: {load.failures}",
    )


def test_the_address_stays_through_a_service_life(host: Host, port: int) -> None:
    url = f"http://hello.localhost:{port}"
    assert f"\nhello answers at {url}\n" in host.run("up", str(HELLO), "-d")
    [service] = host.json("status")
    assert service["url"] == url
    assert get(service["address"]) == "Hello from deployd!\n"
    assert re.search(rf"^hello +serving +healthy +1 +{url} +\d+s$", host.run("status"), re.MULTILINE)
    assert ask(port) == (200, "Hello from deployd!\n")
    assert ask(port, "nobody.localhost")[0] == 404
    other = project(host, "other", deployd_yaml="deployd: 1\nservice:\n  name: other\n  port: 8080\n")
    host.run("deploy", str(other))
    host.run("suspend", "hello")
    assert ask(port) == (503, "service hello is suspended\n")
    assert host.json("status", "hello")["url"] is None
    assert f"hello is serving at {url}" in host.run("resume", "hello")
    assert ask(port) == (200, "Hello from deployd!\n")
    host.run("retire", "hello")
    assert ask(port)[0] == 404
    assert ask(port, "other.localhost") == (200, "Hello from deployd!\n")
    host.run("down")
    until(lambda: proxy(host) is None, "the proxy ends")


def test_a_failed_redeployment_leaves_the_address_where_it_was(host: Host, port: int) -> None:
    host.run("up", str(project(host, "project")), "-d")
    broken = project(host, "project", server_py="raise SystemExit('broken')\n")
    with Watching(lambda: ask(port)) as seen:
        host.run("deploy", str(broken), code=1)
    assert seen.results == {(200, "Hello from deployd!\n")}


@dataclass
class Watching:
    """What somebody sees who asks again and again."""

    ask: Callable[[], object]
    results: set[object] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watching:
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        return self

    def work(self) -> None:
        while not self.ended.is_set():
            self.results.add(self.ask())

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def test_the_address_outlives_deployd_and_the_proxy_is_brought_back(host: Host, port: int) -> None:
    host.run("up", str(HELLO), "-d")
    server, first = host.server(), proxy(host)
    assert server is not None
    assert first is not None
    os.kill(server, signal.SIGKILL)
    assert ask(port) == (200, "Hello from deployd!\n")
    serve = host.start("serve")
    until(lambda: host.server() not in (None, server), "the server is back")
    assert ask(port) == (200, "Hello from deployd!\n")
    assert proxy(host) == first
    os.kill(first, signal.SIGKILL)
    until(lambda: proxy(host) not in (None, first), "the proxy is back")
    until(lambda: answers(port), "it accepts connections")
    assert ask(port) == (200, "Hello from deployd!\n")
    serve.send_signal(signal.SIGTERM)
    assert serve.wait(60) == 0
    assert ask(port) == (200, "Hello from deployd!\n")


def test_a_taken_port_hinders_nothing(host: Host, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        said = host.run("up", str(HELLO), "-d")
        found = re.search(r"^hello answers at (http://127\.0\.0\.1:\d+)$", said, re.MULTILINE)
        assert found, said
        assert get(found[1]) == "Hello from deployd!\n"
        [deployment] = host.json("history", "hello")
        assert f"there is no http://hello.localhost:{port}" in json.dumps(deployment["notes"])
        [service] = host.json("status")
        assert (service["health"], service["url"]) == ("HEALTHY", None)
    until(lambda: host.json("status", "hello")["url"], "the address is there once the port is free")
    assert ask(port) == (200, "Hello from deployd!\n")


def test_the_end_of_a_foreground_up_ends_the_proxy(host: Host, port: int) -> None:
    up = host.start("up", str(HELLO))
    host.hears(up, "Ctrl-C ends it")
    assert proxy(host) is not None
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    until(lambda: proxy(host) is None, "the proxy ends")
