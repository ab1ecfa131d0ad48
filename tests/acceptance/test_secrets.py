"""Canaries: secrets that go through everything that can happen to a service, and then are looked for."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from deployd.cli.client import Client
from deployd.store.database import Database
from tests.acceptance import surfaces
from tests.acceptance.test_cli import PATIENCE, Host, get, host, process, until

__all__ = ["host"]

SERVER = """
import base64, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

MODE = "serve"
print(dict(os.environ), flush=True)
for name, value in os.environ.items():
    print(name, value, quote(value, safe=""), base64.b64encode(b"u:" + value.encode()).decode(), flush=True)
    sys.stderr.write("%s=%s" % (name, value) * 2000)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status = 200 if MODE == "serve" else 500
        self.send_response(status, os.environ["KEY"])
        self.end_headers()
        self.wfile.write(os.environ["KEY"].encode())
    def log_message(self, *_):
        print("asked", self.path, os.environ["KEY"], os.environ["DATABASE"], flush=True)

if MODE == "crash":
    raise RuntimeError(os.environ["URL"] + os.environ["PEM"])
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
MANIFEST = """\
deployd: 1
services:
  cart:
    run: python3 server.py
    port: 8080
    health: {path: /, timeout: 30s}
    env:
      KEY: "${secrets.payment}"
      URL: "postgres://cart:${secrets.payment}@127.0.0.1/cart"
      PEM: "${secrets.certificate}"
      DATABASE: "${resources.db.url}"
    resources: {db: postgres}
"""


def canary() -> str:
    return f"canary{uuid4().hex}"


def set_secret(host: Host, name: str, value: str, *argv: str) -> str:
    """By a pipe; what it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "deployd.cli.main", "secret", "set", name, *argv],
        env=host.environ,
        input=value,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def type_secret(host: Host, name: str, value: str) -> str:
    """At a prompt in a terminal; what the terminal showed."""
    program, terminal = pty.fork()
    if program == 0:  # pragma: no cover - becomes the command line
        argv = [sys.executable, "-m", "deployd.cli.main", "secret", "set", name]
        os.execve(sys.executable, argv, {**host.environ, "TERM": "xterm"})
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, value.encode() + b"\n")
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:
        pass  # the end of a terminal
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]) == 0, shown
    return shown.decode()


@pytest.fixture
def shop(host: Host) -> Path:
    """The folder of a service, and a server that runs."""
    folder = host.home.parent / "shop"
    folder.mkdir()
    write(folder, "serve")
    host.start("serve")
    until(lambda: host.server() is not None, "the server is there")
    return folder


def write(folder: Path, mode: str) -> None:
    (folder / "server.py").write_text(SERVER.replace('MODE = "serve"', f"MODE = {mode!r}"))
    # Only what never does well is not waited for.
    (folder / "deployd.yaml").write_text(MANIFEST.replace("30s", "2s") if mode == "sick" else MANIFEST)


def test_a_secret_by_pipe_prompt_and_file(host: Host, shop: Path) -> None:
    value, other = canary(), canary()
    said = set_secret(host, "payment", f"{value}\n")
    assert "secret payment is set in world local" in said
    assert "no service refers to it yet" in said
    shown = type_secret(host, "typed", other)
    assert "secret typed is set" in shown
    assert other not in shown
    pem = host.home.parent / "key.pem"
    pem.write_text(f"-----BEGIN\n{value}\n")
    host.run("secret", "set", "certificate", "--file", str(pem))
    host.run("deploy", str(shop))
    assert get(host.json("status", "cart")["address"]) == value
    assert "at their next deployment: cart" in set_secret(host, "payment", other)
    listed = {one["name"]: one["services"] for one in host.json("secret", "list")}
    assert listed == {"payment": ["cart"], "certificate": ["cart"], "typed": []}
    table = host.run("secret", "list")
    assert table.splitlines()[0].split() == ["NAME", "SET", "BY", "SERVICES"]
    assert get(host.json("status", "cart")["address"]) == value, "what runs keeps what it was given"
    host.run("deploy", str(shop))
    assert get(host.json("status", "cart")["address"]) == other
    assert "cannot be deployed without: cart" in host.run("secret", "unset", "payment")
    write(shop, "sick")
    said = host.run("deploy", str(shop), code=1)
    assert "${secrets.payment}" in said
    assert "et it: deployd secret set payment" in said
    assert get(host.json("status", "cart")["address"]) == other, "what serves goes on"
    assert "has no secret payment" in host.run("secret", "unset", "payment", code=2)


@pytest.fixture
async def elsewhere(dsn: str, host: Host) -> AsyncIterator[str]:
    """The host's server is to use a Postgres that can be looked into; its address."""
    host.environ["DEPLOYD_DATABASE_URL"] = dsn
    yield dsn
    host.run("down")  # here, where it still knows the database with the services


async def test_no_canary_is_found_anywhere(elsewhere: str, host: Host, shop: Path) -> None:
    canaries = [canary() for _ in range(4)]
    payment, line, later, typed = canaries
    said = [set_secret(host, "payment", payment), type_secret(host, "typed", typed)]
    said.append(set_secret(host, "certificate", f"-----BEGIN\n{line}\n-----END\n"))
    for mode, code in (("serve", 0), ("crash", 1), ("sick", 1)):
        write(shop, mode)
        said.append(host.run("deploy", str(shop), code=code))
    said.append(set_secret(host, "payment", later))
    write(shop, "serve")
    (shop / "new").touch()
    said.append(host.run("deploy", str(shop)))
    said.append(host.run("rollback", "cart"))
    service = host.json("status", "cart")
    assert get(service["address"]) == later
    said.append(host.run("suspend", "cart"))
    said.append(host.run("resume", "cart"))
    canaries.append(password(process(host, "cart")))
    asked = (["status"], ["status", "cart"], ["history", "cart"], ["secret", "list"])
    said += [host.run(*argv) for argv in asked]

    logs = host.run("logs", "cart")
    assert "[secret payment]" in logs, "it was printed, and replaced"
    assert "[secret certificate]" in logs
    assert "[secret db.url]" in logs
    told = host.json("history", "cart")
    assert "[secret URL]" in str(told), "and it was in the evidence of a failure"

    token = (host.home / "token").read_text().strip()
    url = host.json("version")["url"]
    given: list[dict[str, object]] = [
        {},
        {"world": "local", "service": "cart", "name": "local", "first": 50},
        {"action": "DEPLOY", "world": "local", "text": "cart", "first": 50},
    ]
    given.append({"world": "local", "name": "cart"})
    changes = {one["changeId"] for one in told if one["changeId"]}
    given += [{"id": one} for one in [service["id"], *(one["id"] for one in told), *sorted(changes)]]
    async with Client(url, token) as client:
        everything = [*(await surfaces.answers(client, given)).items()]
        assert any("[secret URL]" in text for _, text in everything)
        followed = [*given, {"world": "local", "after": None}]
        streams = await surfaces.messages(client, followed, until="[secret payment]", quiet=1.0)
        everything += streams.items()
    everything += [(f"answer {number}", one) for number, one in enumerate(said)]
    assert surfaces.holding(everything, canaries) == []

    pid = process(host, "cart")
    assert surfaces.holding(surfaces.environments([pid]), canaries) == [f"environment of {pid}"]
    server = host.server()
    assert server is not None
    assert surfaces.holding(surfaces.environments([server]), canaries) == []
    assert surfaces.holding(surfaces.command_lines(), canaries) == []
    assert surfaces.holding(surfaces.files(host.home.parent), canaries) == []
    assert surfaces.holding(await surfaces.rows(elsewhere), canaries) == []
    async with Database(elsewhere) as db:
        await db.pool.execute("checkpoint")
        data = Path(await db.pool.fetchval("show data_directory"))
    assert (data / "PG_VERSION").exists()
    assert surfaces.holding(surfaces.files(data), canaries) == []


def password(pid: int) -> str:
    """Of the service's database: made by deployd, and told to nobody but the service."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    [url] = [one.removeprefix("DATABASE=") for one in variables if one.startswith("DATABASE=")]
    found = urlsplit(url).password
    assert found is not None
    assert len(found) > 20
    return found
